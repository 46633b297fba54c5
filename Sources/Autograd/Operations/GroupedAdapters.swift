import CKernels
import TensorCore

/// The low-rank ways through a grouped linear layer, for the experts that have rows; forward beside backward.
///
/// Kernels want A as `[rank, inputs]` and the transpose of B as `[rank, outputs]`: factors that their parameters do not
/// hold like that are copied. Work is cut by expert and by rows or columns, with one barrier for
/// all experts.
struct GroupedAdapters {
    /// One update that has rows, and where its parts lie in the tensors that hold those of all.
    private struct Entry {
        let update: ExpertUpdate
        let rows: Range<Int>
        /// A and the transpose of B.
        let a, b: Factor
        /// First element of the update's `[rows, rank]` in `hidden`.
        let hidden: Int
    }

    /// Where products find a factor: in its parameter, which the entry keeps alive, or from an element of `copies` on.
    private enum Factor {
        case parameter(UnsafePointer<Float>)
        case copy(StridedMatrix, at: Int)

        /// - Parameter copied: elements of the factors that are copied so far.
        init(_ matrix: StridedMatrix, columns: Int, rank: Int, isExact: Bool, _ copied: inout Int) {
            if isExact, let pointer = matrix.dense(columns: columns) {
                self = .parameter(pointer)
            } else {
                self = .copy(matrix, at: copied)
                copied += rank * columns
            }
        }

        func copy(rank: Int, columns: Int, to copies: UnsafeMutablePointer<Float>) {
            guard case .copy(let matrix, let start) = self else { return }
            matrix.copy(rows: 0..<rank, columns: columns, to: copies + start)
        }
    }

    private let entries: [Entry]
    /// Per expert its entries.
    private let byGroup: [Int: [Int]]
    /// Factors as products see them that are not used where they lie.
    private let copies: Tensor
    /// `s · x̃ · Aᵀ` of all entries.
    private let hidden: Tensor
    /// The layer's input as products see it.
    private let input: Tensor
    private let groups: TokenGroups
    private let compute: Compute
    private let dropout: DropoutContext?
    private let inputs: Int

    /// Rows whose thin products one tile computes.
    private static let tileRows = 256
    /// Columns of a factor's gradient that one tile computes.
    private static let tileColumns = 512

    init(
        _ updates: [[ExpertUpdate]], _ x: Tensor, _ groups: TokenGroups, _ weight: GroupedWeight,
        dropout: DropoutContext?,
        on compute: Compute
    ) {
        precondition(updates.count == weight.count, "updates of \(updates.count) experts for \(weight.count)")
        (self.groups, self.compute, self.dropout, inputs) = (groups, compute, dropout, weight.inputs)
        var entries: [Entry] = []
        var byGroup: [Int: [Int]] = [:]
        var (copied, hiddenCount) = (0, 0)
        let isExact = compute.precision == .float32
        for (group, updates) in updates.enumerated() {
            let rows = groups.offsets[group]..<groups.offsets[group + 1]
            for update in updates where !rows.isEmpty {
                byGroup[group, default: []].append(entries.count)
                let a = Factor(
                    update.a.matrix, columns: weight.inputs, rank: update.rank, isExact: isExact, &copied)
                let b = Factor(
                    update.b.matrix.transposed, columns: update.outputs.count, rank: update.rank, isExact: isExact,
                    &copied)
                entries.append(Entry(update: update, rows: rows, a: a, b: b, hidden: hiddenCount))
                hiddenCount += rows.count * update.rank
            }
        }
        (self.entries, self.byGroup) = (entries, byGroup)
        let copies = compute.empty([copied])
        compute.threads.run(tiles: entries.count) { tile in
            let update = entries[tile].update
            entries[tile].a.copy(rank: update.rank, columns: weight.inputs, to: copies.output)
            entries[tile].b.copy(rank: update.rank, columns: update.outputs.count, to: copies.output)
        }
        self.copies = compute.rounded(copies)
        input = compute.rounded(x)
        hidden = compute.empty([hiddenCount])
        forEachRowTile { entry, rows in
            withInput(entry, rows) { x in
                let target =
                    hidden.output + entry.hidden + (rows.lowerBound - entry.rows.lowerBound) * entry.update.rank
                compute.thinProject(
                    rows: rows.count, columns: inputs, rank: entry.update.rank, scale: entry.update.scale,
                    MatrixPointer(x, stride: inputs), values(entry.a), into: target)
            }
        }
    }

    private func values(_ factor: Factor) -> UnsafePointer<Float> {
        switch factor {
        case .parameter(let pointer): pointer
        case .copy(_, let start): copies.floats + start
        }
    }

    // MARK: Forward

    /// Adds the updates of a group to a panel of the result.
    func addForward(
        _ group: Int, _ rows: Range<Int>, _ columns: Range<Int>, _ panel: UnsafeMutablePointer<Float>, _ stride: Int
    ) {
        for index in byGroup[group] ?? [] {
            let entry = entries[index]
            let outputs = entry.update.outputs.clamped(to: columns)
            if outputs.isEmpty { continue }
            let (width, first) = (entry.update.outputs.count, outputs.lowerBound - entry.update.outputs.lowerBound)
            compute.thinExpand(
                rows: rows.count, columns: outputs.count, rank: entry.update.rank, hidden.floats + entry.hidden,
                MatrixPointer(values(entry.b) + first, stride: width), accumulate: true,
                into: panel + outputs.lowerBound - columns.lowerBound, stride: stride)
        }
    }

    // MARK: Backward

    /// Sums the gradients of A and B and returns `g = s·dy·B` of all entries.
    func backward(_ dy: Tensor, into gradients: Gradients?) -> Tensor {
        let (dy, g) = (compute.rounded(dy), compute.empty([hidden.count]))
        forEachRowTile { entry, rows in
            let outputs = entry.update.outputs
            let start = dy.floats + rows.lowerBound * dy.columns + outputs.lowerBound
            compute.thinProject(
                rows: rows.count, columns: outputs.count, rank: entry.update.rank, scale: entry.update.scale,
                MatrixPointer(start, stride: dy.columns), values(entry.b),
                into: g.output + entry.hidden + (rows.lowerBound - entry.rows.lowerBound) * entry.update.rank)
        }
        if let gradients { accumulate(dy, g, into: gradients) }
        return g
    }

    /// Adds the gradients of all factors to those of the parameters that they came from, some columns at a time.
    private func accumulate(_ dy: Tensor, _ g: Tensor, into gradients: Gradients) {
        let targets = Targets(entries, inputs: inputs)
        let tiles = targets.parts.indices.flatMap { part in
            TileGrid.pieces(targets.parts[part].width, target: Self.tileColumns).map { (part: part, columns: $0) }
        }
        gradients.accumulate(targets.parameters, on: compute) { places in
            let adding = places.indices.map { index in
                let (place, count) = (places[index], targets.parameters[index].value.count)
                if place.adding || targets.covered[index] == count { return place.adding }
                // Experts without rows share the parameter.
                place.values.update(repeating: 0, count: count)
                return true
            }
            compute.threads.run(tiles: tiles.count) { tile in
                let (part, columns) = (targets.parts[tiles[tile].part], tiles[tile].columns)
                let rank = part.entry.update.rank
                compute.withScratch(rank * columns.count) { sum in
                    sum.update(repeating: 0, count: rank * columns.count)
                    if part.isA { addA(part.entry, g, columns, to: sum) } else { addB(part.entry, dy, columns, to: sum) }
                    let place = places[part.parameter].values + part.offset + columns.lowerBound * part.along
                    martlet_strided_put(
                        Int64(rank), Int64(columns.count), sum, adding[part.parameter] ? 1 : 0, place,
                        Int64(part.across), Int64(part.along))
                }
            }
        }
    }

    /// Adds some columns of dA to `sum [rank, columns]`.
    private func addA(_ entry: Entry, _ g: Tensor, _ columns: Range<Int>, to sum: UnsafeMutablePointer<Float>) {
        let rank = entry.update.rank
        for rows in Self.rowTiles(entry.rows) {
            withInput(entry, rows) { x in
                compute.thinGradient(
                    rows: rows.count, columns: columns.count, rank: rank,
                    g.floats + entry.hidden + (rows.lowerBound - entry.rows.lowerBound) * rank,
                    MatrixPointer(x + columns.lowerBound, stride: inputs), into: sum, stride: columns.count)
            }
        }
    }

    /// Adds some columns of the transpose of dB to `sum [rank, columns]`.
    private func addB(_ entry: Entry, _ dy: Tensor, _ columns: Range<Int>, to sum: UnsafeMutablePointer<Float>) {
        let start =
            dy.floats + entry.rows.lowerBound * dy.columns + entry.update.outputs.lowerBound + columns.lowerBound
        compute.thinGradient(
            rows: entry.rows.count, columns: columns.count, rank: entry.update.rank, hidden.floats + entry.hidden,
            MatrixPointer(start, stride: dy.columns), into: sum, stride: columns.count)
    }

    /// Where the gradients of factors go.
    private struct Targets {
        /// One factor of an entry, seen as `[rank, width]`: A, or the transpose of B.
        struct Part {
            let parameter: Int
            let entry: Entry
            let isA: Bool
            let width: Int
            /// The first element in the parameter, and the distances between columns and between rows.
            let offset, along, across: Int
        }

        private(set) var parameters: [Parameter] = []
        /// Per parameter how many of its elements get a gradient.
        private(set) var covered: [Int] = []
        /// Both factors of every entry.
        private(set) var parts: [Part] = []

        init(_ entries: [Entry], inputs: Int) {
            var indices: [ObjectIdentifier: Int] = [:]
            for entry in entries {
                for (view, isA) in [(entry.update.a, true), (entry.update.b, false)] {
                    let index = indices[ObjectIdentifier(view.parameter)] ?? parameters.count
                    if index == parameters.count {
                        indices[ObjectIdentifier(view.parameter)] = index
                        parameters.append(view.parameter)
                        covered.append(0)
                    }
                    let width = isA ? inputs : entry.update.outputs.count
                    covered[index] += entry.update.rank * width
                    parts.append(
                        Part(
                            parameter: index, entry: entry, isA: isA, width: width, offset: view.offset,
                            along: isA ? view.columnStride : view.rowStride,
                            across: isA ? view.rowStride : view.columnStride))
                }
            }
        }
    }

    /// Adds `mask(g·A)` to a panel of the input's gradient.
    func addBackward(
        _ g: Tensor, _ group: Int, _ rows: Range<Int>, _ columns: Range<Int>, _ panel: UnsafeMutablePointer<Float>,
        _ stride: Int
    ) {
        for index in byGroup[group] ?? [] {
            let entry = entries[index]
            let right = MatrixPointer(values(entry.a) + columns.lowerBound, stride: inputs)
            func expand(accumulate: Bool, into out: UnsafeMutablePointer<Float>, _ stride: Int) {
                compute.thinExpand(
                    rows: rows.count, columns: columns.count, rank: entry.update.rank, g.floats + entry.hidden, right,
                    accumulate: accumulate, into: out, stride: stride)
            }
            guard let dropout = mask(of: entry) else {
                expand(accumulate: true, into: panel, stride)
                continue
            }
            compute.withScratch(rows.count * columns.count) { scratch in
                expand(accumulate: false, into: scratch, columns.count)
                for (index, row) in rows.enumerated() {
                    let values = scratch + index * columns.count
                    drop(row, entry, dropout, columns, values)
                    martlet_add(Int64(columns.count), panel + index * stride, values, panel + index * stride)
                }
            }
        }
    }

    // MARK: Rows

    private static func rowTiles(_ rows: Range<Int>) -> [Range<Int>] {
        stride(from: rows.lowerBound, to: rows.upperBound, by: tileRows).map {
            $0..<min(rows.upperBound, $0 + tileRows)
        }
    }

    private func forEachRowTile(_ body: (Entry, Range<Int>) -> Void) {
        let tiles = entries.flatMap { entry in Self.rowTiles(entry.rows).map { (entry, $0) } }
        compute.threads.run(tiles: tiles.count) { body(tiles[$0].0, tiles[$0].1) }
    }

    private func mask(of entry: Entry) -> DropoutContext? { entry.update.dropoutRate > 0 ? dropout : nil }

    /// Calls `body` with rows of the input after dropout.
    private func withInput(_ entry: Entry, _ rows: Range<Int>, _ body: (UnsafePointer<Float>) -> Void) {
        let values = input.floats + rows.lowerBound * inputs
        guard let dropout = mask(of: entry) else { return body(values) }
        compute.withScratch(rows.count * inputs) { scratch in
            scratch.update(from: values, count: rows.count * inputs)
            for (index, row) in rows.enumerated() { drop(row, entry, dropout, 0..<inputs, scratch + index * inputs) }
            body(scratch)
        }
    }

    /// Applies the mask of one row, which is that of its token.
    private func drop(
        _ row: Int, _ entry: Entry, _ dropout: DropoutContext, _ columns: Range<Int>,
        _ values: UnsafeMutablePointer<Float>
    ) {
        martlet_dropout(
            1, Int64(columns.lowerBound), Int64(columns.count), dropout.seed, dropout.step << 24 ^ entry.update.site,
            Int64(dropout.firstToken + Int(groups.tokens[row])), entry.update.dropoutRate, values)
    }
}
