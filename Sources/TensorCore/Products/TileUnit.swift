package import CKernels

/// What multiplies tiles of bfloat16 and sums in float32.
package enum TileUnit: Sendable {
    /// The tile registers of the CPU.
    case amx
    /// Vectors of AVX512-BF16.
    case vectors
    /// Tile registers in plain C, for tests.
    case emulated

    /// All that this CPU can run.
    package static var usable: [TileUnit] {
        let vectors = Int(martlet_best_isa()) >= MARTLET_ISA_AVX512_BF16 ? [TileUnit.vectors] : []
        return [.emulated] + vectors + (InstructionSet.best == .amx ? [.amx] : [])
    }

    /// The product over packed operands, on the calling thread.
    package var product: @convention(c) (UnsafePointer<martlet_tile_product>?) -> Void {
        switch self {
        case .amx: martlet_tile_product_amx
        case .vectors: martlet_tile_product_vectors
        case .emulated: martlet_tile_product_emulated
        }
    }

    /// What reports call it.
    package var name: String {
        switch self {
        case .amx: "AMX tile registers"
        case .vectors: "AVX512-BF16 vectors"
        case .emulated: "emulated tile registers"
        }
    }

    /// Runs a product over packed operands on the calling thread.
    func multiply(_ product: inout martlet_tile_product) { self.product(&product) }

    /// Billions of floating-point operations a second of one thread whose operands lie in the first-level cache.
    package func rate(seconds: Double) -> Double {
        let (side, blocks) = (32, 8)
        let tiles = [UInt16](repeating: 0x3F80, count: 2 * blocks * TilePack.elements)
        var result = [Float](repeating: 0, count: side * side)
        let (clock, step) = (ContinuousClock(), Int64(blocks * TilePack.elements))
        return tiles.withUnsafeBufferPointer { tiles in
            result.withUnsafeMutableBufferPointer { result in
                var product = martlet_tile_product()
                let operand = martlet_packed_tiles(tiles.baseAddress, step)
                product.operands.0 = martlet_tile_operands(left: operand, right: operand, depth: Int64(blocks))
                (product.rows, product.columns, product.stride) = (Int64(side), Int64(side), Int64(side))
                product.result = result.baseAddress
                var (runs, best, start) = (1, 0.0, clock.now)
                let end = start + .seconds(seconds)
                while start < end {
                    for _ in 0..<runs { multiply(&product) }
                    let elapsed = (clock.now - start) / .seconds(1)
                    best = max(best, Double(runs * 2 * side * side * blocks * 32) / elapsed / 1e9)
                    if elapsed < seconds / 20 { runs *= 2 }
                    start = clock.now
                }
                return best
            }
        }
    }
}
