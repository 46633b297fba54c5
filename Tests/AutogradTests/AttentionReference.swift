import Autograd
import Foundation

/// Attention and its derivative in double precision, one query and key at a time.
struct AttentionReference {
    let layout: SequenceLayout
    let options: AttentionOptions
    /// Queries and gradients of outputs have a row for each token, keys and values one for each of the prefix as well.
    let q, k, v, dy: [Double]
    let sinks: [Double]?

    /// Sums, and the sums of the absolute values of what they are made of: what rounding is measured by.
    struct Sums {
        private(set) var values, sizes: [Double]

        init(_ count: Int) {
            values = [Double](repeating: 0, count: count)
            sizes = values
        }

        mutating func add(_ factor: Double, _ size: Double, _ row: ArraySlice<Double>, at start: Int) {
            for (index, value) in zip(start..., row) {
                values[index] += factor * value
                sizes[index] += size * abs(value)
            }
        }
    }

    private var size: Int { options.headSize }
    private var valueSize: Int { options.valueSize }

    /// Keys that a query sees, as rows.
    private func keys(_ sequence: Int, _ row: Int) -> Range<Int> {
        let start = layout.offsets[sequence]
        let position = layout.prefix + row - start
        let first = max(
            0, options.window.map { position - $0 + 1 } ?? 0, options.chunk.map { position / $0 * $0 } ?? 0)
        return start + first..<start + position + 1
    }

    private func dot(_ a: ArraySlice<Double>, _ b: ArraySlice<Double>) -> Double {
        zip(a, b).reduce(0) { $0 + $1.0 * $1.1 }
    }

    private func dotOfSizes(_ a: ArraySlice<Double>, _ b: ArraySlice<Double>) -> Double {
        zip(a, b).reduce(0) { $0 + abs($1.0 * $1.1) }
    }

    /// Output and gradients of q, k and v.
    func results() -> [Sums] {
        var (output, dq) = (Sums(dy.count), Sums(q.count))
        var (dk, dv) = (Sums(k.count), Sums(v.count))
        for sequence in 0..<layout.sequenceCount {
            for row in layout.offsets[sequence]..<layout.offsets[sequence + 1] {
                for head in 0..<options.heads { add(row, head, keys(sequence, row), &output, &dq, &dk, &dv) }
            }
        }
        return [output, dq, dk, dv]
    }

    private func add(
        _ row: Int, _ head: Int, _ keys: Range<Int>, _ output: inout Sums, _ dq: inout Sums, _ dk: inout Sums,
        _ dv: inout Sums
    ) {
        let (keyHeads, group) = (options.keyValueHeads, head / (options.heads / options.keyValueHeads))
        func at(_ key: Int, _ size: Int) -> Int { (key * keyHeads + group) * size }
        func part(_ x: [Double], _ start: Int, _ size: Int) -> ArraySlice<Double> { x[start..<start + size] }
        let (mine, result) = ((row * options.heads + head) * size, (row * options.heads + head) * valueSize)
        let (query, gradient) = (part(q, mine, size), part(dy, result, valueSize))
        var (scores, slopes): ([Double], [Double]) = ([], [])
        for key in keys {
            let s = Double(options.scale) * dot(query, part(k, at(key, size), size))
            let tangent = options.softCap.map { tanh(s / Double($0)) }
            scores.append(tangent.map { $0 * Double(options.softCap ?? 0) } ?? s)
            slopes.append(Double(options.scale) * (1 - (tangent ?? 0) * (tangent ?? 0)))
        }
        let sink = sinks.map { $0[head] } ?? -.infinity
        let largest = max(sink, scores.max() ?? sink)
        let total = scores.reduce(exp(sink - largest)) { $0 + exp($1 - largest) }
        let weights = scores.map { exp($0 - largest) / total }
        for (key, weight) in zip(keys, weights) {
            output.add(weight, weight, part(v, at(key, valueSize), valueSize), at: result)
        }
        let delta = dot(gradient, part(output.values, result, valueSize))
        let sizeOfDelta = dotOfSizes(gradient, part(output.sizes, result, valueSize))
        for (index, key) in keys.enumerated() {
            let (value, weight) = (part(v, at(key, valueSize), valueSize), weights[index])
            let d = weight * slopes[index] * (dot(gradient, value) - delta)
            let sizeOfD = weight * Double(options.scale) * (dotOfSizes(gradient, value) + sizeOfDelta)
            dv.add(weight, weight, gradient, at: at(key, valueSize))
            dq.add(d, sizeOfD, part(k, at(key, size), size), at: mine)
            dk.add(d, sizeOfD, query, at: at(key, size))
        }
    }
}
