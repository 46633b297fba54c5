/// What products do with the weights of groups, without the products: a yardstick for the cost of many groups.
extension Compute {
    /// Reads the stored bytes of all groups once, on all threads.
    public func read(_ weight: GroupedWeight) {
        let parts = weight.storedBytes
        threads.run(tiles: parts.count) { _ = parts[$0].checksum() }
    }

    /// Expands the matrices of all groups once, panel by panel as a product of many rows in this precision does (into
    /// tiles or strips of float16 where it runs on those), on all threads.
    public func expandAll(_ weight: GroupedWeight) {
        let offsets = (0...weight.count).map { $0 * Self.fewestPacked }
        let panels = panels(of: weight, offsets, areRows: true)
        threads.run(tiles: panels.count) { tile in
            for piece in panels[tile].pieces {
                if tiles != nil {
                    withTiles(of: piece) { _ in }
                } else if multipliesFloat16 {
                    withStrips(of: piece, as: .float16) { _ in }
                } else {
                    withBlock(piece) { _ in }
                }
            }
        }
    }
}

extension GroupedWeight {
    /// Where the numbers lie, in runs of at most a megabyte.
    fileprivate var storedBytes: [MappedBytes] {
        weights.flatMap(\.storedBytes).flatMap { bytes in
            TileGrid.heights(of: 0..<bytes.count, at: 1 << 20).map { bytes[$0] }
        }
    }
}
