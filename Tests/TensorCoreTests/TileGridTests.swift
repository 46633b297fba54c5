import TensorCore
import Testing

/// How results are cut for threads.
struct TileGridTests {
    static let tiles = ProductUnit.tiles(.emulated), floats = ProductUnit.strips(.float32)
    static let float16 = ProductUnit.strips(.float16)
    /// Depths, what multiplies, and blocks of a weight.
    static let cases = [
        (1, tiles, 1), (576, tiles, 64), (14336, tiles, 256), (576, floats, 1), (576, floats, 64), (576, float16, 1),
        (3072, float16, 256),
    ]

    @Test(arguments: [0, 1, 9, 300, 2048], [1, 31, 64, 192, 576, 1536, 49152])
    func itemsCoverAResultOnce(rows: Int, columns: Int) {
        for threads in [1, 2, 3, 8, 64] {
            for (depth, unit, block) in Self.cases {
                let items = TileGrid.items(
                    rows: rows, columns: columns, depth: depth, on: unit, block: block, threads: threads)
                let area = items.reduce(0) { $0 + $1.rows.count * $1.columns.count }
                #expect(area == rows * columns)
                let places = Set(items.map { [$0.rows.lowerBound, $0.columns.lowerBound] })
                #expect(places.count == items.count)
                for item in items {
                    #expect(item.rows.upperBound <= rows && item.columns.upperBound <= columns)
                    let step = unit.columnStep, alignment = (step + block - 1) / block * block
                    #expect(item.rows.lowerBound % 32 == 0 && item.columns.lowerBound % alignment == 0)
                }
            }
        }
    }

    /// Two threads get the same work where the shapes of a model allow it.
    @Test(arguments: [
        (192, tiles), (576, tiles), (1536, tiles), (2048, tiles), (4096, tiles), (192, floats), (576, floats),
        (192, float16), (576, float16), (1536, float16),
    ])
    func threadsGetTheSame(columns: Int, unit: ProductUnit) {
        let items = TileGrid.items(rows: 2048, columns: columns, depth: 576, on: unit, threads: 2)
        #expect(items.count % 2 == 0 && Set(items.map(\.columns.count)).count == 1)
    }

    /// Where they do not, the wider parts come first, and in turns both threads have the same in the end.
    @Test func turnsEvenOut() {
        let items = TileGrid.items(rows: 2048, columns: 1536, depth: 576, on: Self.floats, threads: 2)
        #expect(items.map(\.columns.count) == [288, 288, 240, 240, 240, 240])
    }

    /// Sums over tiles of a loss lie in an array with a place for so many columns.
    @Test(arguments: [1, 63, 65, 96, 97, 190, 300, 1000, 1500, 32_000, 49_153]) func tilesOfALossBeginApart(columns: Int) {
        for depth in [64, 576, 4096, 16_384, 20_000, 50_000] {
            let panels = TileGrid.panels(rows: columns, columns: depth).map(\.lowerBound)
            let packed = [Self.tiles, Self.floats, Self.float16].map { unit in
                TileGrid.items(rows: 600, columns: columns, depth: depth, on: unit, threads: 1).map(\.columns.lowerBound)
            }
            for starts in packed + [panels] {
                #expect(Set(starts.map { $0 / Compute.sharedTileStep }).count == Set(starts).count)
            }
            #expect(panels.allSatisfy { $0 % 64 == 0 })
        }
    }
}
