import CKernels
import Foundation
import TensorCore
import Testing

/// Routing and strided copies against plain code in double precision, in every form this CPU runs.
struct ExpertKernelTests {
    struct Case: Sendable {
        var scoring: Int
        var normalizes = false
        var experts = 7
        var chosen = 3
        var groups = 1
        var kept = 1
        var bias = false
        var scaling: Float = 1
    }

    static let cases = [
        Case(scoring: MARTLET_ROUTE_SOFTMAX), Case(scoring: MARTLET_ROUTE_SOFTMAX, normalizes: true),
        Case(scoring: MARTLET_ROUTE_SOFTMAX_CHOSEN, chosen: 2), Case(scoring: MARTLET_ROUTE_SIGMOID, chosen: 1),
        Case(
            scoring: MARTLET_ROUTE_SIGMOID, normalizes: true, experts: 24, chosen: 5, groups: 6, kept: 3, bias: true,
            scaling: 2.5),
        Case(scoring: MARTLET_ROUTE_SIGMOID, experts: 8, chosen: 8),
        Case(scoring: MARTLET_ROUTE_SOFTMAX, experts: 1, chosen: 1),
        Case(scoring: MARTLET_ROUTE_SOFTMAX, normalizes: true, experts: 37, chosen: 2),
    ]

    /// Chosen experts and weights of one token, in double precision.
    private func expected(_ c: Case, _ logits: [Float], _ bias: [Float]) -> (indices: [Int], weights: [Double]) {
        let exps = logits.map { exp(Double($0)) }
        let sigmoids = logits.map { 1 / (1 + exp(-Double($0))) }
        let isSigmoid = c.scoring == MARTLET_ROUTE_SIGMOID
        let choice = logits.indices.map {
            (isSigmoid ? sigmoids[$0] : Double(logits[$0])) + (c.bias ? Double(bias[$0]) : 0)
        }
        let size = c.experts / c.groups
        let groups = (0..<c.groups).sorted { a, b in
            func score(_ g: Int) -> Double { choice[g * size..<(g + 1) * size].sorted(by: >).prefix(2).reduce(0, +) }
            return score(a) > score(b)
        }.prefix(c.kept)
        let open = (0..<c.experts).filter { groups.contains($0 / size) }
        let indices = Array(open.sorted { choice[$0] > choice[$1] }.prefix(c.chosen))
        let total = c.scoring == MARTLET_ROUTE_SOFTMAX ? exps.reduce(0, +) : indices.reduce(0.0) { $0 + exps[$1] }
        var weights = indices.map { isSigmoid ? sigmoids[$0] : exps[$0] / total }
        if c.normalizes {
            let sum = weights.reduce(0, +)
            weights = weights.map { $0 / sum }
        }
        return (indices, weights.map { $0 * Double(c.scaling) })
    }

    private func withSettings<R>(_ c: Case, _ bias: [Float], _ body: (UnsafePointer<martlet_routing>) -> R) -> R {
        bias.withUnsafeBufferPointer {
            var settings = martlet_routing()
            (settings.experts, settings.chosen) = (Int64(c.experts), Int64(c.chosen))
            (settings.groups, settings.kept_groups) = (Int64(c.groups), Int64(c.kept))
            (settings.scoring, settings.normalize, settings.scaling) = (
                Int32(c.scoring), c.normalizes ? 1 : 0, c.scaling
            )
            settings.bias = c.bias ? $0.baseAddress : nil
            return body(&settings)
        }
    }

    @Test(arguments: cases) func choiceAndWeights(c: Case) {
        let rows = 33
        let (logits, bias) = (noise(rows * c.experts, 1, scale: 3), noise(c.experts, 2, scale: 0.4))
        let tokens = (0..<rows).map { expected(c, Array(logits[$0 * c.experts..<($0 + 1) * c.experts]), bias) }
        let kernels = available(martlet_route_portable, martlet_route_avx2, martlet_route_avx512)
        for kernel in kernels {
            var indices = [Int32](repeating: -1, count: rows * c.chosen)
            _ = withSettings(c, bias) { settings in
                written(rows * c.chosen) { kernel(Int64(rows), settings, logits, &indices, $0) }
            }
            #expect(indices.map(Int.init) == tokens.flatMap(\.indices))
        }
        expectAgreement(kernels, .exponential, expected: tokens.flatMap(\.weights), "weights") { kernel in
            var indices = [Int32](repeating: -1, count: rows * c.chosen)
            return withSettings(c, bias) { settings in
                written(rows * c.chosen) { kernel(Int64(rows), settings, logits, &indices, $0) }
            }
        }
    }

    @Test(arguments: cases) func derivative(c: Case) {
        let (logits, bias) = (noise(c.experts, 1, scale: 2), noise(c.experts, 2, scale: 0.4))
        let dWeights = noise(c.chosen, 3)
        let indices = expected(c, logits, bias).indices
        // Differences of the weighted sum, with the choice held fast: a step of 1e-4 does not change it.
        let numeric = logits.indices.map { expert in
            let sides = [Float(1e-3), -1e-3].map { step in
                var moved = logits
                moved[expert] += step
                let result = expected(c, moved, bias)
                return indices.enumerated().reduce(0.0) { sum, index in
                    let at = result.indices.firstIndex(of: index.element)
                    return sum + Double(dWeights[index.offset]) * (at.map { result.weights[$0] } ?? .nan)
                }
            }
            return (sides[0] - sides[1]) / 2e-3
        }
        let tolerance = KernelTolerance(relative: 2e-3, absolute: 1e-4)
        let chosen = indices.map(Int32.init)
        expectAgreement(
            available(martlet_route_backward_portable, martlet_route_backward_avx2, martlet_route_backward_avx512),
            tolerance, expected: numeric, "d_logits"
        ) { kernel in
            withSettings(c, bias) { settings in written(c.experts) { kernel(1, settings, logits, chosen, dWeights, $0) }
            }
        }
    }

    @Test func equalScoresGoToTheLowerIndex() {
        let c = Case(scoring: MARTLET_ROUTE_SOFTMAX, experts: 5, chosen: 3)
        for kernel in available(martlet_route_portable, martlet_route_avx2, martlet_route_avx512) {
            var indices = [Int32](repeating: -1, count: 3)
            _ = withSettings(c, []) { settings in written(3) { kernel(1, settings, [1, 2, 1, 2, 1], &indices, $0) } }
            #expect(indices == [1, 3, 0])
        }
    }

    @Test(arguments: [1, 5, 16, 64]) func routerShares(experts: Int) {
        let rows = 9
        let (logits, factors) = (noise(rows * experts, 1, scale: 3), noise(experts, 2))
        let shares = (0..<rows).map { row in
            let exps = logits[row * experts..<(row + 1) * experts].map { exp(Double($0)) }
            return exps.map { $0 / exps.reduce(0, +) }
        }
        let sums = (0..<experts).map { expert in 0.5 + shares.reduce(0.0) { $0 + $1[expert] } }
        expectAgreement(
            available(martlet_router_shares_portable, martlet_router_shares_avx2, martlet_router_shares_avx512),
            .exponential,
            expected: sums, "shares"
        ) { kernel in
            changed([Float](repeating: 0.5, count: experts)) { kernel(Int64(rows), Int64(experts), logits, $0) }
        }
        let gradient = shares.flatMap { p in
            let mean = zip(p, factors).reduce(0.0) { $0 + $1.0 * Double($1.1) }
            return zip(p, factors).map { 0.25 + 2 * $0 * (Double($1) - mean) }
        }
        expectAgreement(
            available(
                martlet_router_shares_backward_portable, martlet_router_shares_backward_avx2,
                martlet_router_shares_backward_avx512), .exponential, expected: gradient, "gradient"
        ) { kernel in
            changed([Float](repeating: 0.25, count: rows * experts)) {
                kernel(Int64(rows), Int64(experts), 2, factors, logits, $0)
            }
        }
    }

    @Test(arguments: [(3, 5, 1, 3), (3, 5, 5, 1), (17, 16, 40, 2), (0, 4, 4, 1), (16, 48, 1, 16), (32, 16, 1, 35)])
    func stridedCopies(rows: Int, columns: Int, rowStride: Int, columnStride: Int) {
        let x = noise(rows * rowStride + columns * columnStride + 1, 1)
        let places = (0..<rows).flatMap { r in (0..<columns).map { r * rowStride + $0 * columnStride } }
        expectAgreement(
            available(martlet_strided_copy_portable, martlet_strided_copy_avx2, martlet_strided_copy_avx512), .exact,
            expected: places.map { Double(x[$0]) }, "copy"
        ) { kernel in
            written(rows * columns) {
                kernel(Int64(rows), Int64(columns), x, Int64(rowStride), Int64(columnStride), $0)
            }
        }
        guard Set(places).count == places.count else { return }
        let values = noise(rows * columns, 2)
        for adding in [false, true] {
            var sums = doubles(x)
            for (index, place) in places.enumerated() {
                sums[place] = Double((adding ? Float(sums[place]) : 0) + values[index])
            }
            expectAgreement(
                available(martlet_strided_put_portable, martlet_strided_put_avx2, martlet_strided_put_avx512), .exact,
                expected: sums, "put"
            ) { kernel in
                changed(x) {
                    kernel(
                        Int64(rows), Int64(columns), values, adding ? 1 : 0, $0, Int64(rowStride), Int64(columnStride))
                }
            }
        }
    }
}
