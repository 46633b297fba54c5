import Synchronization

/// The matrices of many groups that a grouped product multiplies with: one `[outputs, inputs]` for each expert of a
/// mixture, in whatever form they are held. Nothing is expanded before a product needs it.
public struct GroupedWeight: Sendable {
    /// How the matrix of a group lies in memory. It comes from the architecture, never from sizes.
    public enum Orientation: String, Sendable {
        /// A row for each output, as linear layers have it.
        case outputsByInputs
        /// A row for each input: products are `x · W`.
        case inputsByOutputs
    }

    /// A run of rows of a stored matrix that is the matrix of a group, or some of its outputs.
    struct Part: Sendable {
        let weight: Weight
        let rows: Range<Int>
        /// The outputs of the group that it gives.
        let outputs: Range<Int>
    }

    /// How matrices lie.
    public let orientation: Orientation
    /// Number of groups.
    public let count: Int
    /// Size of every group's matrix.
    public let outputs, inputs: Int
    /// What products have expanded so far.
    public let expansions: ExpansionCounter
    /// Per group the parts that make up its outputs, in order.
    let parts: [[Part]]

    /// Matrices of their own, `[outputs, inputs]` each.
    /// - Parameter groups: per group the matrices whose outputs follow one another.
    /// - Precondition: there is a group, and all have matrices of the same sizes.
    public init(separate groups: [[Weight]]) {
        precondition(groups.first?.first != nil, "a grouped weight needs a group")
        orientation = .outputsByInputs
        count = groups.count
        inputs = groups[0][0].columns
        outputs = groups[0].reduce(0) { $0 + $1.rows }
        parts = groups.map { weights in
            var first = 0
            return weights.map { weight in
                defer { first += weight.rows }
                return Part(weight: weight, rows: 0..<weight.rows, outputs: first..<first + weight.rows)
            }
        }
        expansions = ExpansionCounter(groups: count)
        for group in groups {
            precondition(
                group.reduce(0) { $0 + $1.rows } == outputs && group.allSatisfy { $0.columns == inputs },
                "groups of different sizes")
        }
    }

    /// Tensors `[count, outputs, inputs]` or `[count, inputs, outputs]` that hold the matrices of all groups.
    /// - Parameter tensors: those whose outputs follow one another.
    public init(fused tensors: [Weight], count: Int, orientation: Orientation) {
        let (tensors, orientation) = Self.asTheyLie(tensors, count, orientation)
        precondition(
            !tensors.isEmpty && tensors.allSatisfy { $0.rows % count == 0 },
            "\(count) groups in rows that are no multiple")
        (self.orientation, self.count) = (orientation, count)
        let isTransposed = orientation == .inputsByOutputs
        inputs = isTransposed ? tensors[0].rows / count : tensors[0].columns
        outputs = tensors.reduce(0) { $0 + (isTransposed ? $1.columns : $1.rows / count) }
        parts = (0..<count).map { group in
            var first = 0
            return tensors.map { tensor in
                let rows = tensor.rows / count
                let width = isTransposed ? tensor.columns : rows
                defer { first += width }
                return Part(weight: tensor, rows: group * rows..<(group + 1) * rows, outputs: first..<first + width)
            }
        }
        expansions = ExpansionCounter(groups: count)
    }

    /// Tensors whose file keeps the matrices of groups transposed are used as they lie there.
    private static func asTheyLie(
        _ tensors: [Weight], _ count: Int, _ orientation: Orientation
    ) -> ([Weight], Orientation) {
        var parts: [Weight] = []
        for tensor in tensors {
            guard orientation == .inputsByOutputs, case .stored(let stored) = tensor,
                case .assembled(let assembly) = stored.contents, assembly.groups == count,
                assembly.parts.allSatisfy({ $0.isTransposed && $0.tensor.columns == assembly.rowsPerGroup })
            else { return (tensors, orientation) }
            parts += assembly.parts.map { .stored($0.tensor) }
        }
        return (parts, .outputsByInputs)
    }

    /// The weights that hold the matrices, each once.
    public var weights: [Weight] {
        guard let first = parts.first else { return [] }
        // Fused tensors are parts of every group.
        let isShared = count > 1 && first.allSatisfy { $0.rows.count < $0.weight.rows }
        return (isShared ? first : parts.flatMap { $0 }).map(\.weight)
    }

    /// Bytes that the matrices take as they are held.
    public var byteCount: Int { weights.reduce(0) { $0 + $1.byteCount } }

    /// Whether the rows of a part are outputs.
    var rowsAreOutputs: Bool { orientation == .outputsByInputs }
}

/// Counts the weights that grouped products have read, per group: proof that an expert without tokens costs nothing.
public final class ExpansionCounter: Sendable {
    private let elements: Mutex<[Int]>

    init(groups: Int) { elements = Mutex([Int](repeating: 0, count: groups)) }

    /// Elements of each group that were expanded, or read where they lie, since the start.
    public var counts: [Int] { elements.withLock { $0 } }

    func add(_ count: Int, to group: Int) { elements.withLock { $0[group] += count } }
}
