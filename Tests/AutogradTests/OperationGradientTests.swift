import Autograd
import Foundation
import TensorCore
import Testing

/// Every operation against finite differences, at sizes that are no multiples of anything.
struct OperationGradientTests {
    let compute: Compute
    let checker: GradientChecker

    init() throws {
        compute = try Compute(threadCount: 2)
        checker = GradientChecker(on: compute)
    }

    func random(_ shape: [Int], _ stream: UInt64) -> Tensor {
        let count = shape.reduce(1, *)
        let values = RandomStream(seed: 3, purpose: .initialization, stream: stream).uniform(count: count)
        return compute.tensor(values.map { 2 * $0 - 1 }, shape: shape)
    }

    func expectSmall(_ reports: [GradientChecker.Report], _ tolerance: Double = 2e-3) {
        for report in reports {
            #expect(report.relativeError < tolerance, "input \(report.input)")
            #expect(report.numeric.contains { $0 != 0 }, "input \(report.input) has no effect")
        }
    }

    @Test func add() {
        expectSmall(checker.check([random([5, 7], 1), random([5, 7], 2)]) { $0.add($1[0], $1[1]) })
    }

    @Test func sharedInputGetsBothGradients() {
        expectSmall(checker.check([random([3, 5], 1)]) { graph, inputs in graph.add(inputs[0], graph.add(inputs[0], inputs[0])) })
    }

    @Test func rmsNorm() {
        expectSmall(checker.check([random([67, 9], 1), random([9], 2)]) { $0.rmsNorm($1[0], weight: $1[1], epsilon: 1e-5) })
    }

    @Test func rmsNormOfHeads() {
        expectSmall(checker.check([random([7, 12], 1), random([4], 2)]) { $0.rmsNorm($1[0], weight: $1[1], epsilon: 1e-5) })
    }

    /// Where a weight is zero, the result does not tell what was normed.
    @Test(arguments: [0, 1e-38]) func rmsNormWithWeightsOfNothing(nothing: Float) {
        let weights = [nothing, 0.5, -nothing, -2, 0.01, nothing, 1, 3, 0.7]
        let weight = compute.tensor(weights, shape: [9])
        expectSmall(checker.check([random([67, 9], 1), weight]) { $0.rmsNorm($1[0], weight: $1[1], epsilon: 1e-5) })
        let frozen = Variable(constant: weight)
        expectSmall(checker.check([random([67, 18], 1)]) { $0.rmsNorm($1[0], weight: frozen, epsilon: 1e-5) })
    }

    @Test(arguments: [GateFunction.silu, .geluTanh, .clamped(alpha: 1.702, limit: 7)])
    func gatedActivation(function: GateFunction) {
        expectSmall(checker.check([random([6, 19], 1), random([6, 19], 2)]) { $0.gatedActivation($1[0], $1[1], function) })
        expectSmall(checker.check([random([6, 38], 1)]) { $0.gatedActivation(interleaved: $1[0], function) })
    }

    @Test func interleavedGateIsTheSameFunction() {
        let (gate, up) = (random([5, 9], 1), random([5, 9], 2))
        let pairs = compute.tensor(zip(gate.toArray(), up.toArray()).flatMap { [$0, $1] }, shape: [5, 18])
        let graph = Graph(compute: compute)
        let function = GateFunction.clamped(alpha: 1.3, limit: 0.5)
        let apart = graph.gatedActivation(Variable(constant: gate), Variable(constant: up), function).value.toArray()
        #expect(graph.gatedActivation(interleaved: Variable(constant: pairs), function).value.toArray() == apart)
    }

    @Test func splitColumns() {
        expectSmall(checker.check([random([5, 12], 1)]) { graph, inputs in
            let parts = graph.split(inputs[0], widths: [3, 5, 4])
            return graph.gatedActivation(parts[0], graph.split(parts[1], widths: [3, 2])[0])
        })
        expectSmall(checker.check([random([9, 12], 1)]) { graph, inputs in
            let parts = graph.split(inputs[0], widths: [6, 3, 3])
            let options = AttentionOptions(heads: 2, keyValueHeads: 1, headSize: 3, scale: 0.5)
            return graph.attention(parts[0], parts[1], parts[2], layout: SequenceLayout(count: 9), options: options)
        })
    }

    @Test(arguments: [false, true]) func rotary(interleaved: Bool) {
        let angles = RotaryAngles(positions: [0, 3, 1, 200], frequencies: [1, 0.3, 0.01], on: compute)
        expectSmall(checker.check([random([4, 16], 1)]) {
            $0.rotate($1[0], by: angles, headSize: 8, interleaved: interleaved)
        })
        let layout = SequenceLayout(offsets: [0, 1, 4])
        let magnified = RotaryAngles(layout, on: compute) { RotaryFrequencies([1, 0.1 * Double($0)], magnitude: 1.3) }
        expectSmall(checker.check([random([4, 16], 1)]) {
            $0.rotate($1[0], by: magnified, headSize: 8, offset: 3, interleaved: interleaved)
        })
    }

    @Test(arguments: [
        AttentionOptions(heads: 4, keyValueHeads: 2, headSize: 6, scale: 0.4),
        AttentionOptions(heads: 2, keyValueHeads: 2, headSize: 6, valueSize: 4, scale: 0.4, window: 3),
        AttentionOptions(heads: 3, keyValueHeads: 1, headSize: 6, scale: 0.4, chunk: 4),
        AttentionOptions(heads: 4, keyValueHeads: 2, headSize: 6, valueSize: 4, scale: 1.4, window: 5, softCap: 0.8),
    ]) func attention(options: AttentionOptions) {
        let layout = SequenceLayout(offsets: [0, 1, 8, 19])
        let (q, k) = (random([19, options.heads * 6], 1), random([19, options.keyValueHeads * 6], 2))
        let v = random([19, options.keyValueHeads * options.valueSize], 3)
        expectSmall(checker.check([q, k, v]) { $0.attention($1[0], $1[1], $1[2], layout: layout, options: options) })
        let sinks = random([options.heads], 4)
        expectSmall(checker.check([q, k, v]) {
            $0.attention($1[0], $1[1], $1[2], layout: layout, options: options, sinks: sinks)
        })
    }

    @Test func sinkTakesItsShare() {
        // One token sees itself with score 0: its weight is 1 / (1 + exp(sink)).
        let (zero, v) = (Variable(constant: compute.zeros([1, 4])), Variable(constant: random([1, 4], 1)))
        let options = AttentionOptions(heads: 2, keyValueHeads: 2, headSize: 2, scale: 1)
        let sinks = compute.tensor([0, 2], shape: [2])
        let y = Graph(compute: compute).attention(
            zero, zero, v, layout: SequenceLayout(count: 1), options: options, sinks: sinks).value.toArray()
        let shares = [Float](repeating: 0.5, count: 2) + [Float](repeating: 1 / (1 + exp(2)), count: 2)
        for (index, value) in v.value.toArray().enumerated() { #expect(abs(y[index] - value * shares[index]) < 1e-6) }
    }

    @Test func rotationFollowsTheLengthOfEachSequence() {
        func frequencies(_ length: Int) -> RotaryFrequencies { RotaryFrequencies([1, length > 3 ? 0.1 : 0.5]) }
        let x = random([7, 4], 1)
        func rotated(_ rows: Range<Int>, _ layout: SequenceLayout) -> [Float] {
            let part = compute.tensor(Array(x.toArray()[rows.lowerBound * 4..<rows.upperBound * 4]), shape: [rows.count, 4])
            let angles = RotaryAngles(layout, on: compute, frequencies: frequencies)
            return Graph(compute: compute).rotate(Variable(constant: part), by: angles, headSize: 4).value.toArray()
        }
        let together = rotated(0..<7, SequenceLayout(offsets: [0, 2, 7]))
        #expect(together == rotated(0..<2, SequenceLayout(count: 2)) + rotated(2..<7, SequenceLayout(count: 5)))
        #expect(rotated(6..<7, SequenceLayout(count: 1, after: 4)) == Array(together.suffix(4)))
    }

    @Test func linearInput() {
        let (weight, bias) = (Weight.dense(random([11, 13], 1)), random([11], 2))
        expectSmall(checker.check([random([9, 13], 3)]) { $0.linear($1[0], weight: weight, bias: bias) })
    }

    @Test(arguments: [3, 9]) func linearLayersOverOneInput(tokens: Int) {
        let layers = [11, 5, 8].enumerated().map { index, outputs in
            LinearLayer(
                weight: .dense(random([outputs, 13], UInt64(index + 1))),
                bias: index == 1 ? random([outputs], 7) : nil)
        }
        func sum(_ graph: Graph, _ parts: [Variable]) -> Variable {
            let rest = graph.add(parts[1], graph.split(parts[2], widths: [5, 3])[0])
            return graph.add(graph.split(parts[0], widths: [5, 6])[0], rest)
        }
        let x = random([tokens, 13], 5)
        expectSmall(checker.check([x]) { sum($0, $0.linear($1[0], through: layers)) })
        let graph = Graph(compute: compute)
        let together = graph.linear(Variable(constant: x), through: layers).map { $0.value.toArray() }
        let apart = layers.map { graph.linear(Variable(constant: x), weight: $0.weight, bias: $0.bias).value.toArray() }
        #expect(together == apart)
    }

    @Test func linearCrossEntropyInput() {
        let head = Weight.dense(random([23, 13], 1))
        let targets: [Int32] = [3, -100, 22, 0, 7, -100, 1, 1, 5]
        expectSmall(checker.check([random([9, 13], 2)]) { $0.linearCrossEntropy($1[0], head: head, targets: targets).loss })
        expectSmall(checker.check([random([9, 13], 2)]) {
            $0.linearCrossEntropy($1[0], head: head, targets: targets, softCap: 1.5).loss
        })
        let weights: [Float] = [0.5, 1, 2, 1, 0.1, 1, 1, 3, 1]
        expectSmall(checker.check([random([9, 13], 2)]) {
            $0.linearCrossEntropy($1[0], head: head, targets: targets, weights: weights).loss
        })
    }

    /// Chunks of tokens and parts of the vocabulary stay within their bounds; the loss of several is that of one.
    @Test func chunksOfLogits() throws {
        func cut(_ tokens: Int, _ vocabulary: Int, _ hidden: Int) throws -> (rows: Int, ids: Int, bytes: Int) {
            let bytes = MappedBytes(copying: [UInt8](repeating: 0, count: 2 * vocabulary * hidden))
            let head = Weight.stored(try StoredTensor(name: "head", shape: [vocabulary, hidden], format: .bfloat16, bytes: bytes))
            let cut = LogitCut(tokens: tokens, head: head)
            #expect(cut.parts.reduce(0) { $0 + $1.rows } == vocabulary && LogitCut.mostMappedBytes(of: head) == 0)
            let most = LogitCut.mostBytes(tokens: tokens, head: head, elementBytes: 2)
            return (cut.rows, cut.parts[0].rows, most)
        }
        #expect(try cut(0, 9, 9).rows == 0 && cut(200, 9, 1 << 14).rows == 200)
        #expect(try cut(3000, 5000, 576).rows == 1536 && cut(2048, 5000, 4096).rows == 1024)
        #expect(try cut(2048, 5000, 576).ids == 3072 && cut(512, 7000, 2048).ids == 6144 && cut(2048, 3000, 16_384).ids == 1024)
        for (hidden, vocabulary) in [(64, 1), (576, 49_152), (2048, 12_256)] {
            for tokens in [1, 255, 512, 2048, 2049, 10_000] {
                let (rows, ids, bytes) = try cut(tokens, vocabulary, hidden)
                #expect(rows <= LogitCut.mostRows(tokens: tokens, hidden: hidden))
                #expect(bytes >= rows * (12 * hidden + 2 * ids))
            }
        }
        let (tokens, vocabulary) = (2100, 7000)
        let (hidden, head) = (random([tokens, 3], 1), Weight.dense(random([vocabulary, 3], 2)))
        let targets = (0..<tokens).map { Int32($0 * 97 % vocabulary) }
        func loss(_ range: Range<Int>) -> (sum: Double, gradient: [Float]) {
            let graph = Graph(compute: compute, gradients: Gradients())
            let rows = Array(hidden.toArray()[3 * range.lowerBound..<3 * range.upperBound])
            let leaf = graph.leaf(compute.tensor(rows, shape: [range.count, 3]))
            let (loss, sum) = graph.linearCrossEntropy(leaf, head: head, targets: Array(targets[range]))
            graph.backward(from: loss)
            return (sum, graph.gradient(of: leaf)?.toArray() ?? [])
        }
        let (whole, first, second) = (loss(0..<tokens), loss(0..<150), loss(150..<tokens))
        let pieces = LogitCut(tokens: tokens, head: head)
        #expect(pieces.rows < 1100 && pieces.parts.count > 1)
        #expect(abs(whole.sum - first.sum - second.sum) < 1e-6 * whole.sum)
        #expect(whole.gradient.count == 3 * tokens)
        for (found, expected) in zip(whole.gradient, first.gradient + second.gradient) { #expect(abs(found - expected) < 1e-5) }
    }

    /// A head in several parts gives what its numbers give in memory, for few tokens and more, whatever form it has; one
    /// that cannot be cut, too.
    @Test(arguments: [3, 9], [nil, 3] as [Float?]) func headsInParts(tokens: Int, softCap: Float?) throws {
        let (hidden, vocabulary) = (2048, 7000)
        let values = random([vocabulary, hidden], 2).toArray().map { $0 * 0.05 }
        let bytes = values.withUnsafeBytes { MappedBytes(copying: $0) }
        func stored(_ order: RowOrder) throws -> StoredTensor {
            try StoredTensor(name: "head", shape: [vocabulary, hidden], format: .float32, bytes: bytes, rowOrder: order)
        }
        func packed(_ double: Bool) throws -> StoredTensor {
            let matrix = try FourBitQuantizer.quantize(stored(.plain), blockSize: 64, doubleQuantization: double, on: compute)
            return try StoredTensor(name: "head", shape: [vocabulary, hidden], fourBit: matrix)
        }
        let states = random([tokens, hidden], 1), targets = (0..<tokens).map { Int32($0 * 1999 % vocabulary) }
        func result(_ head: Weight) -> (sum: Double, gradient: [Float]) {
            let graph = Graph(compute: compute, gradients: Gradients())
            let leaf = graph.leaf(states)
            let (loss, sum) = graph.linearCrossEntropy(leaf, head: head, targets: targets, softCap: softCap)
            graph.backward(from: loss)
            return (sum, graph.gradient(of: leaf)?.toArray() ?? [])
        }
        for (head, parts) in [(try stored(.plain), 2), (try packed(false), 2), (try packed(true), 2), (try stored(.interleavedHalves(headSize: 8)), 1)] {
            #expect(LogitCut(tokens: tokens, head: .stored(head)).parts.count == parts)
            let dense = head.expandAll()
            let expected = doubleCrossEntropy(states.toArray(), dense, targets, width: hidden, softCap: softCap)
            let found = result(.stored(head))
            #expect(abs(found.sum - expected.loss) < 1e-5 * expected.loss)
            #expect(found.gradient.count == expected.gradient.count)
            let worst = zip(found.gradient, expected.gradient).reduce(0) { max($0, abs(Double($1.0) - $1.1)) }
            #expect(worst < 1e-5, "\(worst)")
        }
    }

    /// What losses are tried with: products of the library, of strips in either format, of tiles.
    private static let units: [(Precision, TileUnit?, VectorUnit?)] = [
        (.float32, nil, nil), (.float32, nil, .float32), (.bfloat16, nil, .float32), (.bfloat16, nil, .float16),
    ] + TileUnit.usable.map { (.bfloat16, $0, .float32) }

    /// A head of several tiles, and logits of which one is far above the target's: by so much that exponentials have to be
    /// taken from the largest (more than 99), or just not, beside rows that are like others.
    @Test(arguments: units, [[85], [20, 90, 128, 256]] as [[Float]])
    func lossOfUnlikelyTargets(unit: (Precision, TileUnit?, VectorUnit?), logits: [Float]) throws {
        // Of 9,000 ids, 700 tokens meet 8,192 at a time.
        for (tokens, vocabulary, softCap) in [(20, 1500, nil), (20, 1500, 200), (3, 1500, nil), (700, 9000, nil)] as [(Int, Int, Float?)] {
            var hidden = random([max(20, tokens), 8], 1).toArray(), head = random([vocabulary, 8], 2).toArray()
            for id in 0..<vocabulary { head[8 * id] = id == vocabulary - 500 ? 1 : 0 }
            for (row, value) in logits.enumerated() { hidden[8 * row + 8] = value }
            // Numbers that bfloat16 has.
            (hidden, head) = (hidden.map(shortened), head.map(shortened))
            let targets = (0..<tokens).map { Int32($0 * 79 % vocabulary) }
            func result(threads: Int) throws -> (loss: Double, gradient: [Float]) {
                let compute = try Compute(precision: unit.0, threadCount: threads, tiles: unit.1, vectors: unit.2)
                let graph = Graph(compute: compute, gradients: Gradients())
                let leaf = graph.leaf(compute.tensor(Array(hidden[0..<8 * tokens]), shape: [tokens, 8]))
                let weight = Weight.dense(compute.tensor(head, shape: [vocabulary, 8]))
                let (loss, sum) = graph.linearCrossEntropy(leaf, head: weight, targets: targets, softCap: softCap)
                graph.backward(from: loss)
                return (sum, graph.gradient(of: leaf)?.toArray() ?? [])
            }
            let found = try result(threads: 1)
            let again = try result(threads: 3)
            #expect(found.loss == again.loss && found.gradient == again.gradient)
            let expected = doubleCrossEntropy(hidden, head, targets, width: 8, softCap: softCap)
            #expect(abs(found.loss - expected.loss) < (unit.0 == .float32 ? 1e-6 : 1e-3) * expected.loss)
            #expect(found.gradient.count == expected.gradient.count)
            for (at, (found, expected)) in zip(found.gradient, expected.gradient).enumerated() {
                #expect(abs(Double(found) - expected) < (unit.0 == .float32 ? 1e-5 : 1e-2), "number \(at)")
            }
        }
    }

    /// Sum of the losses of all tokens, and its gradient with respect to their hidden states.
    private func doubleCrossEntropy(
        _ hidden: [Float], _ head: [Float], _ targets: [Int32], width: Int, softCap: Float?
    ) -> (loss: Double, gradient: [Double]) {
        var (loss, gradient) = (0.0, [Double]())
        let ids = 0..<head.count / width
        for (row, target) in targets.enumerated() {
            let raw = ids.map { id in
                (0..<width).reduce(0.0) { $0 + Double(hidden[width * row + $1]) * Double(head[width * id + $1]) }
            }
            let logits = softCap.map { cap in raw.map { Double(cap) * tanh($0 / Double(cap)) } } ?? raw
            let largest = logits.max() ?? 0
            let lse = largest + log(logits.reduce(0) { $0 + exp($1 - largest) })
            loss += lse - logits[Int(target)]
            let slopes = ids.map { id in
                let bend = softCap.map { 1 - pow(logits[id] / Double($0), 2) } ?? 1
                return (exp(logits[id] - lse) - (id == Int(target) ? 1 : 0)) * bend
            }
            gradient += (0..<width).map { column in ids.reduce(0) { $0 + slopes[$1] * Double(head[width * $1 + column]) } }
        }
        return (loss, gradient)
    }

    /// What a run has to see: no number that looks like a loss.
    @Test(arguments: units, [Float.nan, .infinity]) func lossOfNoNumbers(unit: (Precision, TileUnit?, VectorUnit?), value: Float) throws {
        let compute = try Compute(precision: unit.0, threadCount: 2, tiles: unit.1, vectors: unit.2)
        let head = Weight.dense(random([300, 8], 2))
        for place in [0, 9 * 8 + 3] {
            var hidden = random([10, 8], 1).toArray()
            hidden[place] = value
            let states = Variable(constant: compute.tensor(hidden, shape: [10, 8]))
            let targets = (0..<10).map { Int32($0 * 29) }
            #expect(!Graph(compute: compute).linearCrossEntropy(states, head: head, targets: targets).sum.isFinite)
        }
    }

    /// Losses of tokens that are all but certain keep their digits.
    @Test func lossOfLikelyTargets() {
        for gap in [Float(1), 6, 12, 15] {
            // Three logits: 20 + gap, 20, and 20.
            let hidden = Variable(constant: compute.tensor([20 + gap, 20], shape: [1, 2]))
            let head = Weight.dense(compute.tensor([1, 0, 0, 1, 0, 1], shape: [3, 2]))
            let sum = Graph(compute: compute).linearCrossEntropy(hidden, head: head, targets: [0]).sum
            let expected = log1p(2 * exp(-Double(gap)))
            #expect(abs(sum - expected) < 1e-4 * expected + 2e-7, "\(gap): \(sum) instead of \(expected)")
        }
    }

    private func shortened(_ value: Float) -> Float { Float(bitPattern: value.bitPattern & 0xFFFF_0000) }

    @Test(arguments: [Float(0), 0.4]) func lowRankFactors(dropout: Float) {
        let (x, weight) = (random([9, 13], 1), Weight.dense(random([11, 13], 2)))
        let (a, b) = (random([3, 13], 3), random([11, 3], 4))
        func run(_ graph: Graph, _ x: Variable, _ a: Tensor, _ b: Tensor) -> (Variable, LowRankUpdate) {
            let update = LowRankUpdate(
                a: Parameter(name: "a", value: compute.copy(a)), b: Parameter(name: "b", value: compute.copy(b)), scale: 1.7,
                dropoutRate: dropout, site: 5)
            graph.dropout = DropoutContext(seed: 1, step: 2, firstToken: 3)
            return (graph.linear(x, weight: weight, update: update), update)
        }
        expectSmall(checker.check([x]) { run($0, $1[0], a, b).0 })
        // Differences come from the checker, whose own leaves do not reach parameters; the analytic side is read here.
        let reports = checker.check([a, b]) { graph, inputs in run(graph, Variable(constant: x), inputs[0].value, inputs[1].value).0 }
        let gradients = Gradients()
        let graph = Graph(compute: compute, gradients: gradients)
        let (y, update) = run(graph, Variable(constant: x), a, b)
        let weights = RandomStream(seed: 7, purpose: .initialization, stream: 0).uniform(count: y.value.count).map { 2 * $0 - 1 }
        graph.backward(from: y, gradient: compute.tensor(weights, shape: y.value.shape))
        for (parameter, report) in zip([update.a, update.b], reports) {
            let analytic = gradients[parameter]?.toArray() ?? []
            #expect(analytic.count == report.numeric.count)
            let largest = report.numeric.map(abs).max() ?? 0
            #expect(largest > 0.01)
            for (found, expected) in zip(analytic, report.numeric) { #expect(abs(found - expected) < 2e-3 * largest + 1e-4) }
        }
    }

    @Test func recomputationChangesNoBit() {
        let (x, weight) = (random([70, 13], 1), random([13], 2))
        func gradient(_ recompute: Bool) -> [Float] {
            let graph = Graph(compute: compute, gradients: Gradients())
            let leaf = graph.leaf(x)
            func block(_ graph: Graph, _ x: Variable) -> Variable {
                graph.add(x, graph.rmsNorm(x, weight: Variable(constant: weight), epsilon: 1e-5))
            }
            let y = recompute ? graph.recomputed([leaf]) { block($0, $1[0]) } : block(graph, leaf)
            graph.backward(from: y)
            return graph.gradient(of: leaf)?.toArray() ?? []
        }
        #expect(gradient(true) == gradient(false) && gradient(true).count == 70 * 13)
    }

    @Test func ownOperationIsDifferentiated() {
        // y = x³, as a user would write it.
        func cube(_ graph: Graph, _ x: Variable) -> Variable {
            let values = x.value.toArray()
            let y = graph.compute.tensor(values.map { $0 * $0 * $0 }, shape: x.value.shape)
            return graph.record("cube", y, inputs: [x]) { gradient in
                [graph.compute.tensor(zip(gradient.toArray(), values).map { $0 * 3 * $1 * $1 }, shape: gradient.shape)]
            }
        }
        expectSmall(checker.check([random([2, 3], 1)]) { cube($0, $1[0]) })
    }

    @Test func wrongDerivativeIsFound() {
        func wrong(_ graph: Graph, _ x: Variable) -> Variable {
            graph.record("wrong", graph.compute.copy(x.value), inputs: [x]) { [graph.compute.zeros($0.shape)] }
        }
        #expect(checker.check([random([2, 3], 1)]) { wrong($0, $1[0]) }[0].relativeError > 0.9)
    }
}
