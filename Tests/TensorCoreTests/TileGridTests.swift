import TensorCore
import Testing

/// How results are cut for threads.
struct TileGridTests {
    @Test(arguments: [0, 1, 9, 300, 2048], [1, 31, 64, 192, 576, 1536, 49152])
    func itemsCoverAResultOnce(rows: Int, columns: Int) {
        for threads in [1, 2, 3, 8, 64] {
            for (depth, block) in [(1, 1), (576, 64), (14336, 256)] {
                let items = TileGrid.items(rows: rows, columns: columns, depth: depth, block: block, threads: threads)
                let area = items.reduce(0) { $0 + $1.rows.count * $1.columns.count }
                #expect(area == rows * columns)
                let places = Set(items.map { [$0.rows.lowerBound, $0.columns.lowerBound] })
                #expect(places.count == items.count)
                for item in items {
                    #expect(item.rows.upperBound <= rows && item.columns.upperBound <= columns)
                    #expect(item.rows.lowerBound % 32 == 0 && item.columns.lowerBound % max(32, block) == 0)
                }
            }
        }
    }

    /// Two threads get the same work where the shapes of a model allow it.
    @Test(arguments: [192, 576, 1536, 2048, 4096]) func threadsGetTheSame(columns: Int) {
        let items = TileGrid.items(rows: 2048, columns: columns, depth: 576, threads: 2)
        #expect(items.count % 2 == 0 && Set(items.map(\.columns.count)).count == 1)
    }
}
