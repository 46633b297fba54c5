import TensorCore
import Testing

/// How results are cut for threads.
struct TileGridTests {
    @Test(arguments: [0, 1, 9, 300, 2048], [1, 31, 64, 192, 576, 1536, 49152])
    func itemsCoverAResultOnce(rows: Int, columns: Int) {
        for threads in [1, 2, 3, 8, 64] {
            for (depth, step, block) in [(1, 32, 1), (576, 32, 64), (14336, 32, 256), (576, 48, 1), (576, 48, 64)] {
                let items = TileGrid.items(
                    rows: rows, columns: columns, depth: depth, step: step, block: block, threads: threads)
                let area = items.reduce(0) { $0 + $1.rows.count * $1.columns.count }
                #expect(area == rows * columns)
                let places = Set(items.map { [$0.rows.lowerBound, $0.columns.lowerBound] })
                #expect(places.count == items.count)
                for item in items {
                    #expect(item.rows.upperBound <= rows && item.columns.upperBound <= columns)
                    let alignment = (step + block - 1) / block * block
                    #expect(item.rows.lowerBound % 32 == 0 && item.columns.lowerBound % alignment == 0)
                }
            }
        }
    }

    /// Two threads get the same work where the shapes of a model allow it.
    @Test(arguments: [(192, 32), (576, 32), (1536, 32), (2048, 32), (4096, 32), (192, 48), (576, 48)])
    func threadsGetTheSame(columns: Int, step: Int) {
        let items = TileGrid.items(rows: 2048, columns: columns, depth: 576, step: step, threads: 2)
        #expect(items.count % 2 == 0 && Set(items.map(\.columns.count)).count == 1)
    }

    /// Where they do not, the wider parts come first, and in turns both threads have the same in the end.
    @Test func turnsEvenOut() {
        let items = TileGrid.items(rows: 2048, columns: 1536, depth: 576, step: 48, threads: 2)
        #expect(items.map(\.columns.count) == [288, 288, 240, 240, 240, 240])
    }
}
