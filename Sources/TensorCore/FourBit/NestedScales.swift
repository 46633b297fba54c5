/// Double quantisation: the scales of blocks, less their mean, packed to 8 bits with a scale for every 256 of them.
///
/// Each step rounds as bitsandbytes and torch do on one CPU thread, so that the bytes are the same.
enum NestedScales {
    private static let groupSize = 256

    /// bitsandbytes' signed dynamic map (Dettmers, 2015): seven decades, each with twice as many steps as the one below.
    static let table: [Float] = {
        var values: [Float] = [0, 1]
        for decade in 0..<7 {
            let steps = 1 << decade
            let unit = Float([1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1][decade])
            let ends = (0...steps).map { linearSpace($0, of: steps) }
            for (low, high) in zip(ends, ends.dropFirst()) {
                let value = unit * ((low + high) / 2)
                values += [value, -value]
            }
        }
        return values.sorted()
    }()

    /// Point `index` of `steps` steps from 0.1 to 1, counted from the nearer end as torch does.
    private static func linearSpace(_ index: Int, of steps: Int) -> Float {
        let step = (1 - Float(0.1)) / Float(steps)
        if index < (steps + 1) / 2 { return Float(0.1).addingProduct(step, Float(index)) }
        return Float(1).addingProduct(-step, Float(steps - index))
    }

    /// The entry of ``table`` for each of 65,536 steps from −1 to 1.
    private static let lookup: [UInt8] = {
        let bounds = zip(table, table.dropFirst()).map { 0.5 * ($0 + $1) }
        var entry = 0
        return (0..<65_536).map { step in
            let value = -1 + 2 * Float(step) / 65_535
            while entry < 255 && bounds[entry] < value { entry += 1 }
            return UInt8(entry)
        }
    }()

    /// Packs scales.
    static func quantize(_ scales: [Float]) -> FourBitMatrix.Scales {
        let offset = mean(scales)
        var groups: [Float] = []
        groups.reserveCapacity(scales.count / groupSize + 1)
        let codes = MappedBytes(count: scales.count) { codes in
            for start in stride(from: 0, to: scales.count, by: groupSize) {
                let group = start..<min(start + groupSize, scales.count)
                let largest = group.reduce(Float(0)) { max($0, abs(scales[$1] - offset)) }
                groups.append(largest)
                // A group of equal scales: code 0 stands for −1, and −1 · 0 is nothing.
                guard largest > 0 else { continue }
                let inverse = 1 / largest
                for index in group {
                    let value = max(-1, min(1, (scales[index] - offset) * inverse))
                    codes[index] = lookup[Int((value + 1) * 0.5 * 65_535 + 0.5)]
                }
            }
        }
        return .double(codes: codes, table: table, groups: groups, groupSize: groupSize, offset: offset)
    }

    // MARK: Mean

    /// The mean in the order of additions of torch's CPU kernel: 4 × 8 running sums in a cascade of four levels.
    static func mean(_ values: [Float]) -> Float {
        guard !values.isEmpty else { return 0 }
        let vectors = values.count / 8
        let sums = values.withUnsafeBytes { bytes in
            let load = { (index: Int) in bytes.loadUnaligned(fromByteOffset: 32 * index, as: SIMD8<Float>.self) }
            var columns = (0..<4).map { column in cascade(count: vectors / 4) { load(4 * $0 + column) } }
            for index in vectors / 4 * 4..<vectors { columns[0] += load(index) }
            return columns[0] + columns[1] + columns[2] + columns[3]
        }
        var total: Float = 0
        for index in vectors * 8..<values.count { total += values[index] }
        for lane in 0..<8 { total += sums[lane] }
        return total / Float(values.count)
    }

    /// Sums that are handed up a level after every 2ᵖ additions, so that rounding errors stay small.
    private static func cascade(count: Int, _ load: (Int) -> SIMD8<Float>) -> SIMD8<Float> {
        let power = max(4, count > 1 ? (Int.bitWidth - (count - 1).leadingZeroBitCount) / 4 : 0)
        var levels = [SIMD8<Float>](repeating: .zero, count: 4)
        var index = 0
        while index + 1 << power <= count {
            for _ in 0..<1 << power {
                levels[0] += load(index)
                index += 1
            }
            for level in 1..<4 {
                levels[level] += levels[level - 1]
                levels[level - 1] = .zero
                if index & ((1 << power - 1) << (level * power)) != 0 { break }
            }
        }
        while index < count {
            levels[0] += load(index)
            index += 1
        }
        return levels[0] + levels[1] + levels[2] + levels[3]
    }
}
