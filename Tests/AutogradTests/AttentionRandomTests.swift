import Autograd
import Foundation
import TensorCore
import Testing

/// Attention of random shapes, layouts and kinds against double arithmetic, forward and backward.
///
/// `MARTLET_ATTENTION_CASES` is how many; a case is the same whatever their number.
struct AttentionRandomTests {
    @Test func agreesWithDoubleArithmetic() throws {
        let count = ProcessInfo.processInfo.environment["MARTLET_ATTENTION_CASES"].flatMap(Int.init) ?? 60
        let vectors = [VectorUnit.float32, .float16].map { (tiles: TileUnit?.none, vectors: $0) }
        let units = vectors + TileUnit.usable.map { ($0, .float32) }
        let machines = try units.map { unit in
            try [1, 3].map {
                try Compute(precision: .bfloat16, threadCount: $0, tiles: unit.tiles, vectors: unit.vectors)
            }
        }
        for number in 0..<count {
            let test = RandomAttention(number, kinds: machines.count)
            let results = machines[test.machine].map { test.run(Compute(sharing: $0, precision: test.precision)) }
            let isSame = results[0] == results[1]
            #expect(isSame, "\(test): threads matter")
            for (index, name) in ["output", "dq", "dk", "dv"].enumerated() where index < results[0].count {
                let wrong = test.firstWrong(results[0][index], index)
                #expect(wrong == nil, "\(test), \(name): \(wrong ?? "")")
            }
        }
    }
}

/// One attention whose everything follows from its number.
private struct RandomAttention: CustomStringConvertible {
    let machine: Int
    let precision: Precision
    /// The type of the inputs.
    let type: ElementType
    let layout: SequenceLayout
    let options: AttentionOptions
    private let q, k, v, dy: [Float]
    private let sinks: [Float]?
    private let expected: [AttentionReference.Sums]

    init(_ number: Int, kinds: Int) {
        var dice = Dice(number)
        let kind = number % (2 * kinds + 1)
        (precision, machine) = kind == 0 ? (.float32, 0) : (.bfloat16, (kind - 1) / 2)
        let type: ElementType = kind > 0 && kind % 2 == 0 ? .bfloat16 : .float32
        let options = Self.options(&dice)
        let layout = Self.layout(&dice, most: 2_500_000 / (options.heads * (options.headSize + options.valueSize)))
        let (rows, keys) = (layout.tokenCount, layout.prefix + layout.tokenCount)
        let size: Float = dice.roll(4) == 0 ? 6 : 2
        func noise(_ count: Int, _ size: Float) -> [Float] { dice.numbers(count).map { rounded(size * (2 * $0 - 1)) } }
        func rounded(_ x: Float) -> Float {
            type == .float32 ? x : Float(bitPattern: (x.bitPattern + 0x7FFF + (x.bitPattern >> 16 & 1)) & 0xFFFF_0000)
        }
        q = noise(rows * options.heads * options.headSize, size)
        k = noise(keys * options.keyValueHeads * options.headSize, 2)
        v = noise(keys * options.keyValueHeads * options.valueSize, 1)
        dy = noise(rows * options.heads * options.valueSize, 1)
        sinks = dice.roll(2) == 0 ? noise(options.heads, 4) : nil
        (self.type, self.layout, self.options) = (type, layout, options)
        func doubles(_ x: [Float]) -> [Double] { x.map { Double($0) } }
        expected = AttentionReference(
            layout: layout, options: options, q: doubles(q), k: doubles(k), v: doubles(v), dy: doubles(dy),
            sinks: sinks.map(doubles)
        ).results()
    }

    private static func options(_ dice: inout Dice) -> AttentionOptions {
        let (keyHeads, group) = (dice.roll(3) + 1, dice.roll(4) + 1)
        let sizes = [1, 2, 7, 8, 15, 16, 17, 20, 32, 33, 64, 80, 96, 128]
        let headSize = dice.of(sizes)
        return AttentionOptions(
            heads: keyHeads * group, keyValueHeads: keyHeads, headSize: headSize,
            valueSize: dice.roll(2) == 0 ? headSize : dice.of(sizes), scale: 1.5 / Float(headSize).squareRoot(),
            window: dice.roll(2) == 0 ? dice.roll(dice.of([3, 70, 300])) + 1 : nil,
            chunk: dice.roll(3) == 0 ? dice.roll(dice.of([3, 70, 300])) + 1 : nil,
            softCap: dice.roll(3) == 0 ? 0.5 + Float(dice.roll(8)) : nil)
    }

    /// Sequences that have no more than about `most` pairs of tokens.
    private static func layout(_ dice: inout Dice, most: Int) -> SequenceLayout {
        let longest = max(1, Int(Double(2 * most).squareRoot()))
        func length() -> Int { min(longest, dice.roll(dice.of([1, 8, 70, 300, 1200])) + 1) }
        if dice.roll(3) == 0 { return SequenceLayout(count: length(), after: dice.roll(2) == 0 ? length() : 0) }
        var (offsets, left) = ([0], dice.roll(7) + 1)
        repeat {
            offsets.append(offsets[offsets.count - 1] + length())
            left -= 1
        } while left > 0 && offsets[offsets.count - 1] < longest
        return SequenceLayout(offsets: offsets)
    }

    var description: String {
        "\(precision), machine \(machine), \(type), \(layout), \(options), sinks \(sinks != nil)"
    }

    /// Output and gradients of q, k and v; with a prefix just the output.
    func run(_ compute: Compute) -> [[Float]] {
        let graph = Graph(compute: compute, gradients: Gradients())
        func tensor(_ values: [Float], _ columns: Int) -> Tensor {
            compute.converted(compute.tensor(values, shape: [values.count / columns, columns]), to: type)
        }
        let keyWidth = options.keyValueHeads * options.headSize
        let valueWidth = options.keyValueHeads * options.valueSize
        let sinks = sinks.map { compute.tensor($0, shape: [$0.count]) }
        let q = tensor(q, options.heads * options.headSize)
        if layout.prefix > 0 {
            // What a cache has behind its last token is anything.
            let (k, v) = (
                tensor(k + [Float](repeating: .nan, count: 5 * keyWidth), keyWidth),
                tensor(v + [Float](repeating: .nan, count: 5 * valueWidth), valueWidth)
            )
            return [
                graph.attention(
                    Variable(constant: q), Variable(constant: k), Variable(constant: v), layout: layout,
                    options: options, sinks: sinks).value.toArray()
            ]
        }
        let leaves = [q, tensor(k, keyWidth), tensor(v, valueWidth)].map { graph.leaf($0) }
        let result = graph.attention(leaves[0], leaves[1], leaves[2], layout: layout, options: options, sinks: sinks)
        graph.backward(
            from: result,
            gradient: compute.converted(
                compute.tensor(dy, shape: [layout.tokenCount, options.heads * options.valueSize]),
                to: compute.precision.activationType))
        return [result.value.toArray()] + leaves.map { graph.gradient(of: $0)?.toArray() ?? [] }
    }

    /// The first number of result `index` that lies too far from what it should be.
    func firstWrong(_ found: [Float], _ index: Int) -> String? {
        let (values, sizes) = (expected[index].values, expected[index].sizes)
        guard found.count == values.count else { return "\(found.count) numbers instead of \(values.count)" }
        let relative = tolerance(index)
        for at in found.indices where !(abs(Double(found[at]) - values[at]) <= relative * sizes[at] + 1e-6) {
            return "\(found[at]) at \(at) of \(found.count) instead of \(values[at]), made of \(sizes[at])"
        }
        return nil
    }

    /// How far a number of result `index` may lie from what it should be, as a share of what it is made of.
    private func tolerance(_ index: Int) -> Double {
        if precision == .float32 { return 5e-5 }
        // Rounding to bfloat16 takes 2⁻⁸ of a number at most. Forward it takes from values only, and only what they have;
        // backward from up to five factors of a product and from the result.
        if index > 0 { return 0x1p-5 }
        // Float16 keeps three bits more, but its sums are rounded at every step.
        let isFloat16 = machine == 1 && options.headSize % 32 == 0 && options.valueSize % 32 == 0
        return isFloat16 ? 2e-3 : (type == .bfloat16 ? 0 : 0x1p-8) + 2e-4
    }
}

/// Random numbers of a case.
private struct Dice {
    private let stream: RandomStream
    private var next = 0

    init(_ number: Int) { stream = RandomStream(seed: 7, purpose: .initialization, stream: UInt64(number)) }

    /// A number from 0 to `sides − 1`.
    mutating func roll(_ sides: Int) -> Int { Int(Double(numbers(1)[0]) * Double(sides)) }

    mutating func of<Element>(_ elements: [Element]) -> Element { elements[roll(elements.count)] }

    /// Numbers from 0 to below 1.
    mutating func numbers(_ count: Int) -> [Float] {
        defer { next += count }
        return stream.uniform(count: count, from: next)
    }
}
