import Autograd
import TensorCore
import Testing

/// The operations of a mixture of experts against finite differences.
struct ExpertGradientTests {
    let compute: Compute
    let checker: GradientChecker

    init() throws {
        compute = try Compute(threadCount: 2)
        checker = GradientChecker(on: compute)
    }

    func random(_ shape: [Int], _ stream: UInt64) -> Tensor {
        let values = RandomStream(seed: 5, purpose: .initialization, stream: stream).uniform(count: shape.reduce(1, *))
        return compute.tensor(values.map { 2 * $0 - 1 }, shape: shape)
    }

    func expectSmall(_ reports: [GradientChecker.Report], _ tolerance: Double = 2e-3) {
        for report in reports {
            #expect(report.relativeError < tolerance, "input \(report.input)")
            #expect(report.numeric.contains { $0 != 0 }, "input \(report.input) has no effect")
        }
    }

    /// Six tokens, two of four experts each; expert 2 gets none.
    static let groups = TokenGroups([0, 3, 1, 0, 3, 1, 0, 1, 1, 3, 3, 0], chosen: 2, experts: 4)

    @Test func groupsKeepTheOrderOfTokens() {
        let groups = Self.groups
        #expect(groups.offsets == [0, 4, 8, 8, 12] && groups.counts == [4, 4, 0, 4] && groups.tokenCount == 6)
        #expect(groups.tokens == [0, 1, 3, 5, 1, 2, 3, 4, 0, 2, 4, 5])
        #expect((0..<12).allSatisfy { groups.tokens[Int(groups.rows[$0])] == $0 / 2 })
        #expect(Set(groups.rows).count == 12)
    }

    @Test(arguments: [
        RoutingOptions(experts: 5, chosen: 2, scoring: .softmax),
        RoutingOptions(experts: 5, chosen: 2, scoring: .softmax, normalizes: true),
        RoutingOptions(experts: 5, chosen: 3, scoring: .softmaxOverChosen),
        RoutingOptions(experts: 5, chosen: 1, scoring: .sigmoid),
        RoutingOptions(
            experts: 6, chosen: 3, scoring: .sigmoid, normalizes: true, scaling: 2.5, groups: 3, keptGroups: 2),
    ]) func route(options: RoutingOptions) {
        // Logits far enough apart that a step of the differences chooses no other expert.
        let experts = options.experts
        let logits = (0..<7 * experts).map { Float(($0 * 13 + $0 / experts * 5) % 17) * 0.21 - 1.5 }
        // The differences must be of the same choice: small steps.
        let checker = GradientChecker(on: compute, step: 2e-3)
        expectSmall(
            checker.check([compute.tensor(logits, shape: [7, experts])]) { $0.route($1[0], options: options).weights },
            5e-3)
    }

    @Test func normalisedSoftmaxIsSoftmaxOverTheChosen() {
        let graph = Graph(compute: compute)
        let logits = Variable(constant: random([9, 6], 1))
        let a = graph.route(logits, options: RoutingOptions(experts: 6, chosen: 3, scoring: .softmax, normalizes: true))
        let b = graph.route(logits, options: RoutingOptions(experts: 6, chosen: 3, scoring: .softmaxOverChosen))
        #expect(a.groups.rows == b.groups.rows)
        #expect(zip(a.weights.value.toArray(), b.weights.value.toArray()).allSatisfy { abs($0 - $1) < 1e-6 })
    }

    /// Two routers share one loss; its gradient is that of its value, also where a router is computed again.
    @Test(arguments: [false, true]) func loadBalance(recompute: Bool) {
        let options = RoutingOptions(experts: 5, chosen: 2, scoring: .softmax)
        let inputs = [random([7, 5], 1), random([7, 5], 2)]
        func run(_ values: [Tensor], weight: Float) -> (gradients: [[Float]], loss: Double) {
            let graph = Graph(compute: compute, gradients: Gradients())
            graph.loadBalance = LoadBalance(weight: weight)
            let leaves = values.map { graph.leaf($0) }
            var results = leaves.map { leaf in
                recompute
                    ? graph.recomputed([leaf]) { $0.route($1[0], options: options).weights }
                    : graph.route(leaf, options: options).weights
            }
            results.append(graph.add(results[0], results[1]))
            graph.backward(from: results[2])
            return (leaves.map { graph.gradient(of: $0)?.toArray() ?? [] }, graph.loadBalance?.loss ?? .nan)
        }
        let (with, without) = (run(inputs, weight: 3), run(inputs, weight: 0))
        #expect(with.loss == without.loss && with.loss > 1.9)
        for input in 0..<2 {
            for element in stride(from: 0, to: 35, by: 3) {
                let losses = [Float(2e-3), -2e-3].map { step in
                    var values = inputs.map { $0.toArray() }
                    values[input][element] += step
                    return run(values.map { compute.tensor($0, shape: [7, 5]) }, weight: 0).loss
                }
                let numeric = 3 * (losses[0] - losses[1]) / 4e-3
                let analytic = Double(with.gradients[input][element] - without.gradients[input][element])
                #expect(abs(numeric - analytic) < 2e-3, "\(input), \(element)")
            }
        }
    }

    @Test func gather() {
        expectSmall(checker.check([random([6, 5], 1)]) { $0.gather($1[0], groups: Self.groups) })
        expectSmall(
            checker.check([random([6, 5], 1), random([6, 2], 2)]) {
                $0.gather($1[0], groups: Self.groups, weights: $1[1])
            })
    }

    @Test func combine() {
        expectSmall(checker.check([random([12, 5], 1)]) { $0.combine($1[0], groups: Self.groups) })
        expectSmall(
            checker.check([random([12, 5], 1), random([6, 2], 2)]) {
                $0.combine($1[0], groups: Self.groups, weights: $1[1])
            })
    }

    @Test func weigh() {
        expectSmall(
            checker.check([random([12, 5], 1), random([6, 2], 2)]) { $0.weigh($1[0], groups: Self.groups, by: $1[1]) })
        expectSmall(
            checker.check([random([6, 2], 2)]) {
                $0.weigh(Variable(constant: random([12, 5], 1)), groups: Self.groups, by: $1[0])
            })
    }

    @Test func latentHeads() {
        for part in 0..<2 {
            expectSmall(
                checker.check([random([5, 2 * (3 + 4)], 1), random([5, 2], 2)].dropLast(part)) { graph, inputs in
                    let rotated = part == 0 ? inputs[1] : Variable(constant: random([5, 2], 2))
                    let heads = graph.latentHeads(inputs[0], rotated: rotated, heads: 2, content: 3, value: 4)
                    return part == 0 ? heads.keys : heads.values
                })
        }
        let graph = Graph(compute: compute)
        let heads = graph.latentHeads(
            Variable(constant: compute.tensor([1, 2, 3, 4], shape: [1, 4])),
            rotated: Variable(constant: compute.tensor([9], shape: [1, 1])), heads: 2, content: 1, value: 1)
        #expect(heads.keys.value.toArray() == [1, 9, 3, 9] && heads.values.value.toArray() == [2, 4])
    }

    @Test func scaledRows() {
        let factors = compute.tensor([1, 2, 0.5, -1], shape: [4])
        expectSmall(checker.check([random([4, 7], 1)]) { $0.scaleRows($1[0], by: factors) })
    }

    /// Over bfloat16 activations the same to eight bits of mantissa, in both directions, whether weights meet what goes into
    /// the second layer or what comes out.
    @Test(arguments: [false, true]) func bfloat16IsCloseToFloat32(weighsInput: Bool) {
        let half = Compute(sharing: compute, precision: .bfloat16)
        let up = GroupedWeight(fused: [.dense(random([4 * 5, 14], 1))], count: 4, orientation: .inputsByOutputs)
        let down = GroupedWeight(fused: [.dense(random([4 * 5, 7], 2))], count: 4, orientation: .outputsByInputs)
        let (input, weights) = (random([6, 5], 3), random([6, 2], 4))
        func run(_ compute: Compute) -> [[Float]] {
            let gradients = Gradients()
            let graph = Graph(compute: compute, gradients: gradients)
            let type = compute.precision.activationType
            let leaves = [graph.leaf(compute.converted(input, to: type)), graph.leaf(weights)]
            let factors = [random([2, 5], 5), random([14, 2], 6), random([2, 7], 7), random([5, 2], 8)].map {
                Parameter(name: "p", value: compute.copy($0))
            }
            let update = ExpertUpdate(
                outputs: 0..<14, rank: 2, a: FactorView(factors[0]), b: FactorView(factors[1]), scale: 0.5)
            let second = ExpertUpdate(
                outputs: 0..<5, rank: 2, a: FactorView(factors[2]), b: FactorView(factors[3]), scale: 0.5)
            let rows = graph.gather(leaves[0], groups: Self.groups, weights: leaves[1])
            let both = graph.groupedLinear(rows, groups: Self.groups, weight: up, updates: [[update], [], [], []])
            let parts = graph.split(both, widths: [7, 7])
            var middle = graph.gatedActivation(parts[0], parts[1])
            if weighsInput { middle = graph.weigh(middle, groups: Self.groups, by: leaves[1]) }
            let result = graph.groupedLinear(
                middle, groups: Self.groups, weight: down, updates: [[], [second], [], []])
            #expect(rows.value.elementType == type)
            #expect(both.value.elementType == .float32 && result.value.elementType == .float32)
            let y = graph.combine(result, groups: Self.groups, weights: weighsInput ? nil : leaves[1])
            graph.backward(from: y, gradient: random(y.value.shape, 9))
            #expect(graph.gradient(of: leaves[0])?.elementType == type)
            return [y.value.toArray()] + leaves.map { graph.gradient(of: $0)?.toArray() ?? [] }
                + factors.map { gradients[$0]?.toArray() ?? [] }
        }
        for (found, expected) in zip(run(half), run(compute)) {
            let difference = zip(found, expected).reduce(0.0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) }
            let scale = expected.reduce(0.0) { $0 + Double($1 * $1) }
            #expect(found.count == expected.count && scale > 0 && (difference / scale).squareRoot() < 2e-2)
            let isRounded = found != expected
            #expect(isRounded)
        }
    }

    @Test func groupedLinearInput() {
        let weight = GroupedWeight(fused: [.dense(random([4 * 7, 5], 1))], count: 4, orientation: .outputsByInputs)
        let transposed = GroupedWeight(fused: [.dense(random([4 * 5, 7], 1))], count: 4, orientation: .inputsByOutputs)
        for weight in [weight, transposed] {
            let bias = random([4, 7], 2)
            expectSmall(
                checker.check([random([12, 5], 3)]) {
                    $0.groupedLinear($1[0], groups: Self.groups, weight: weight, bias: bias)
                })
        }
    }

    /// Factors of all experts in two tensors, A with the expert slowest and B with it fastest, or in tensors of their own.
    private func updates(_ a: [Parameter], _ b: [Parameter], dropout: Float) -> [[ExpertUpdate]] {
        let (rank, inputs) = (2, 5)
        return (0..<4).map { expert in
            if a.count == 1 {
                return [
                    ExpertUpdate(
                        outputs: 0..<7, rank: rank,
                        a: FactorView(a[0], offset: expert * rank * inputs, rowStride: inputs, columnStride: 1),
                        b: FactorView(b[0], offset: expert, rowStride: rank * 4, columnStride: 4), scale: 1.7,
                        dropoutRate: dropout, site: 3)
                ]
            }
            return [
                ExpertUpdate(
                    outputs: 2..<7, rank: rank, a: FactorView(a[expert]), b: FactorView(b[expert]), scale: 1.7,
                    dropoutRate: dropout, site: UInt64(expert))
            ]
        }
    }

    @Test(arguments: [true, false], [Float(0), 0.4]) func groupedLinearFactors(fused: Bool, dropout: Float) {
        let weight = GroupedWeight(fused: [.dense(random([4 * 7, 5], 1))], count: 4, orientation: .outputsByInputs)
        let x = random([12, 5], 2)
        let factors: [Tensor] =
            fused
            ? [random([8, 5], 3), random([7, 8], 4)]
            : (0..<4).map { random([2, 5], 10 + $0) } + (0..<4).map { random([5, 2], 20 + $0) }
        func run(_ graph: Graph, _ x: Variable, _ factors: [Tensor]) -> (Variable, [Parameter]) {
            let parameters = factors.map { Parameter(name: "p", value: compute.copy($0)) }
            let half = factors.count / 2
            graph.dropout = DropoutContext(seed: 1, step: 2, firstToken: 3)
            let updates = updates(Array(parameters[..<half]), Array(parameters[half...]), dropout: dropout)
            return (graph.groupedLinear(x, groups: Self.groups, weight: weight, updates: updates), parameters)
        }
        expectSmall(checker.check([x]) { run($0, $1[0], factors).0 })
        let reports = checker.check(factors) { graph, inputs in run(graph, Variable(constant: x), inputs.map(\.value)).0
        }
        let gradients = Gradients()
        let graph = Graph(compute: compute, gradients: gradients)
        let (y, parameters) = run(graph, Variable(constant: x), factors)
        let weights = RandomStream(seed: 7, purpose: .initialization, stream: 0).uniform(count: y.value.count).map {
            2 * $0 - 1
        }
        graph.backward(from: y, gradient: compute.tensor(weights, shape: y.value.shape))
        for (index, (parameter, report)) in zip(parameters, reports).enumerated() {
            if !fused && index % 4 == 2 {
                #expect(gradients[parameter] == nil, "expert 2 has no tokens")
                continue
            }
            let analytic = gradients[parameter]?.toArray() ?? []
            #expect(analytic.count == report.numeric.count)
            let largest = report.numeric.map(abs).max() ?? 0
            #expect(largest > 0.01)
            for (found, expected) in zip(analytic, report.numeric) {
                #expect(abs(found - expected) < 2e-3 * largest + 1e-4)
            }
        }
    }
}
