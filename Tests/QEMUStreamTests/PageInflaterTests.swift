import Errors
import QEMUStream
import Testing
import Wire

@Suite struct PageInflaterTests {
  /// Python's `zlib.compress(bytes((i*7>>3)&255 for i in range(4096)), 1)`.
  private static let packed =
    """
    7801ed950d7b0e041885a5610aa398c214a630159398c2e46388294cc5544cc528a6622a26319ff339c4544cc5\
    544cc5544cc5544cc5544cc5544cc5544cc5e89ce739bfc2f5fe85fb3ae7becb95bbaafcd541152a56aa145cf9\
    9a6bab54ad562da47a8debaeaf59ab5668ed1b6eac53b75ebdb0fa37dddca061a346e18d6fb9b549d366cd229a\
    df76fb1d2d5ab68c6c7567ebbbdab46d1bd5eeee7bda77e8d831bad3bd9dbb74edd62da67b8f9ef7f5eadd3bb6\
    cffd0ff4edd7bf7fdc80071f7a78e0a041f1831f79f4b1214387260c7bfc8927878f18913872d4534f8f1e3326\
    69ec33cf3e376efcf8e409cfbff0e2c449935226bf34e5e5a9d3a6a54e9f3173d6ec3973d2e6ce9bbf60e1a245\
    e98b972c7d65d9f2e5192b5e7dedf595ab5665ae7ee3cdb7d6ac5d9bb5eeed77de5dbf6143f6c6f7deff60d3e6\
    cd395b3efce8e3addbb6e56effe4d3cf76ecdc99b7ebf32fbedcbd674ffedeafbefe66dffefd0507befdeefb83\
    870e151efee1c79f8e1c3d5a74ece75f7e3d7ee244f1c9df7effe3d4e9d32567fefcebefb3e7ce959effe7dfff\
    2e5cbc5876e932191924303248606490c0c820819141022383044606098c0c12181924303248606490c0c82081\
    9141022383044606098c0c12181924303248606490c0c820819141022383044606098c0c121819243032486064\
    90c0c820819141022383044606098c0c12181924303248606490c0c820819141c2902a6a485535a49a1a525d0d\
    a9a186d454436aa121b5d1903a68485d35a45e1a523f0d69a0863444431aae218dd690c669481335a4a91ad26c\
    0d69a186b44c435aa921add190d66b489b34a4ad1ad20e0d69b786b44f433aa8211dd1908e6b48a734a4b31ad2\
    050dc9df165cd9df1652dddf165adbdf1656dfdf16ded8df16d1dcdf16d9cadf16d5cedf16ddc9df16d3dddf16\
    dbc7df1637c0df163fd8df9630ccdf9638d2df9634d6df963cc1df9632d9df963adddf9636d7df96bed8df96b1\
    c2df96b9dadf96b5cedf96bdd1df96b3c5df96bbdddf96b7cbdf96bfd7df5670c0df5678d8df5674ccdf567cd2\
    df5672c6df567adedf5676c9df1654014a32234149662428c98c04259991a02433129464468292cc4850921909\
    4a32234149662428c98c04259991a02433129464468292cc48509219094a32234149662428c98c04259991a024\
    33129464468292cc48509219094a32234149662428c98c04259991a02433129464468292cc48509219094a3223\
    4149662428c98c04259991a4ed60693b44da0e95b6c3a4ed70693b42da8e94b6a3a4ed68693b46da8e95b6e3a4\
    ed78693b41da4e94b693a4ed64693b45da4e95b6d3a4ed74693b43dace94b6b3a4ed6c693b47dace95b6f3a4ed\
    7c69bb40da2e94b68ba4ed6269bb44da2e95b6cba4ed20b68d8cd8363262dbc8886d2323b68d8cd8363262dbc8\
    886d2323b68d8cd8363262dbc8886d2323b68d8cd8363262dbc8886d2323b68d8cd8363262dbc8886d2323b68d\
    8cd8363262dbc8886d2323b68d8cd8363262dbc8886d2323b68d8cd8363262dbc8886d2323b68d8cd8363262db\
    c8886d23a340ff03fde79002fd772305faef460af43fd07fa62dd0ff2bbaffff03b9def86a
    """
  private static let page = (0..<4096).map { UInt8(truncatingIfNeeded: ($0 * 7) >> 3) }

  private func inflate(_ payload: [UInt8], _ inflater: PageInflater) throws -> [UInt8] {
    var page = [UInt8](repeating: 1, count: 4096)
    var span = page.mutableSpan
    try inflater.inflate(payload.span, into: &span, at: 77)
    return page
  }

  @Test func aPageUnpacksAgainAndAgain() throws {
    let inflater = try PageInflater()
    let packed = try #require(Hex.decode(Self.packed))
    for _ in 0..<3 { #expect(try inflate(packed, inflater) == Self.page) }
  }

  @Test func anythingElseIsRefusedAndTheNextPageUnpacks() throws {
    let inflater = try PageInflater()
    let packed = try #require(Hex.decode(Self.packed))
    var damaged = packed
    damaged[500] ^= 4
    let rows: [[UInt8]] = [
      [], [0x78], Array(packed.dropLast()), packed + [0], damaged,
      // A stream of no bytes at all.
      [0x78, 0x01, 0x03, 0x00, 0x00, 0x00, 0x00, 0x01],
    ]
    for row in rows {
      #expect(
        throws: MigrationError(
          .ramData, "compressed page does not unpack to one page", in: .ram, at: 77)
      ) { try inflate(row, inflater) }
      #expect(try inflate(packed, inflater) == Self.page)
    }
  }
}
