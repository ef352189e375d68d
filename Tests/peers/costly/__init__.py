"""Inputs that are small and made to cost much. bounds.py measures what they cost."""

from .wire import *
from .devices import *
from .memory import *
from .images import *
from .snp import *
from .guests import *
from .texts import *
