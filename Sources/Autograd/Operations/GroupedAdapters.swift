import CKernels
import TensorCore

/// The low-rank ways through a grouped linear layer, for the experts that have rows; forward beside backward.
///
/// Kernels want A as `[rank, inputs]` and the transpose of B as `[rank, outputs]`. A factor that does not lie like that
/// in its parameter is copied when it is used, as far as a panel needs it: written down for all experts it would go
/// through memory twice more. Work is cut by expert and by rows or columns, with one barrier for all experts.
final class GroupedAdapters {
    /// One update that has rows, and where its parts lie in the tensors that hold those of all.
    private final class Entry {
        let update: ExpertUpdate
        let group: Int
        let rows: Range<Int>
        /// First element of the update's `[rows, rank]` in `hidden`.
        let hidden: Int

        init(_ update: ExpertUpdate, group: Int, rows: Range<Int>, hidden: Int) {
            (self.update, self.group, self.rows, self.hidden) = (update, group, rows, hidden)
        }
    }

    private let entries: [Entry]
    /// Per expert its entries.
    private let byGroup: [Int: [Int]]
    /// `s · x̃ · Aᵀ` of all entries.
    private let hidden: Tensor
    /// What is kept of the layer's input, for the gradients of A.
    private let kept: Kept
    private let groups: TokenGroups
    private let compute: Compute
    private let dropout: DropoutContext?
    private let inputs: Int

    /// The layer's input as products with A read it: as it is, or float32 numbers that dropout masks.
    private enum Operand {
        case whole(ThinOperand)
        case masked(Tensor)
    }

    /// Rows whose thin products one tile computes.
    private static let tileRows = 256
    /// Columns of a factor's gradient that one tile computes.
    private static let tileColumns = 512

    init(
        _ updates: [[ExpertUpdate]], _ x: Variable, _ groups: TokenGroups, _ weight: GroupedWeight,
        dropout: DropoutContext?,
        on compute: Compute
    ) {
        precondition(updates.count == weight.count, "updates of \(updates.count) experts for \(weight.count)")
        (self.groups, self.compute, self.dropout, inputs) = (groups, compute, dropout, weight.inputs)
        var entries: [Entry] = []
        var byGroup: [Int: [Int]] = [:]
        var hiddenCount = 0
        for (group, updates) in updates.enumerated() {
            let rows = groups.offsets[group]..<groups.offsets[group + 1]
            for update in updates where !rows.isEmpty {
                byGroup[group, default: []].append(entries.count)
                entries.append(Entry(update, group: group, rows: rows, hidden: hiddenCount))
                hiddenCount += rows.count * update.rank
            }
        }
        (self.entries, self.byGroup) = (entries, byGroup)
        (kept, hidden) = (x.kept, compute.empty([hiddenCount]))
        let operand = operand(x.value)
        forEachRowTile { entry, rows in
            withA(entry, 0..<inputs) { a in
                project(
                    operand, entry, rows, a,
                    into: hidden.output + entry.hidden + (rows.lowerBound - entry.rows.lowerBound) * entry.update.rank)
            }
        }
    }

    private func operand(_ x: Tensor) -> Operand {
        if dropout != nil && entries.contains(where: { $0.update.dropoutRate > 0 }) { return .masked(compute.rounded(x)) }
        return .whole(ThinOperand(x, offsets: groups.offsets, columns: [0], on: compute))
    }

    /// `s · x̃ · Aᵀ` of some rows.
    private func project(
        _ operand: Operand, _ entry: Entry, _ rows: Range<Int>, _ a: MatrixPointer, into target: UnsafeMutablePointer<Float>
    ) {
        let (rank, scale) = (entry.update.rank, entry.update.scale)
        switch operand {
        case .whole(let x):
            x.project(group: entry.group, rows: rows, columns: 0..<inputs, rank: rank, scale: scale, a, into: target)
        case .masked(let x):
            withMasked(x, entry, rows) { x in
                compute.thinProject(
                    rows: rows.count, columns: inputs, rank: rank, scale: scale, MatrixPointer(x, stride: inputs), a,
                    into: target)
            }
        }
    }

    /// Calls `body` with columns of A as products see them.
    private func withA(_ entry: Entry, _ columns: Range<Int>, _ body: (MatrixPointer) -> Void) {
        withFactor(entry.update.a.matrix, rank: entry.update.rank, columns, body)
    }

    /// Calls `body` with columns of the transpose of B as products see them.
    private func withB(_ entry: Entry, _ outputs: Range<Int>, _ body: (MatrixPointer) -> Void) {
        withFactor(entry.update.b.matrix.transposed, rank: entry.update.rank, outputs, body)
    }

    private func withFactor(
        _ factor: StridedMatrix, rank: Int, _ columns: Range<Int>, _ body: (MatrixPointer) -> Void
    ) {
        // Tiles are packed from either orientation, and round.
        let packs = compute.tiles != nil
        if packs || !compute.roundsToBfloat16,
            let factor = factor.inPlace(from: columns.lowerBound, mayBeTransposed: packs)
        {
            return body(factor)
        }
        compute.withScratch(rank * columns.count) { copy in
            factor.copy(rows: 0..<rank, columns: columns, to: copy)
            if compute.roundsToBfloat16 { martlet_round_to_bfloat16(Int64(rank * columns.count), copy, copy) }
            body(MatrixPointer(copy, stride: columns.count))
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
            let first = entry.update.outputs.lowerBound
            withB(entry, outputs.lowerBound - first..<outputs.upperBound - first) { b in
                compute.thinExpand(
                    rows: rows.count, columns: outputs.count, rank: entry.update.rank, hidden.floats + entry.hidden, b,
                    accumulate: true, into: panel + outputs.lowerBound - columns.lowerBound, stride: stride)
            }
        }
    }

    // MARK: Backward

    /// Sums the gradients of A and B and returns `g = s·dy·B` of all entries.
    func backward(_ dy: Tensor, into gradients: Gradients?) -> Tensor {
        let g = compute.empty([hidden.count])
        // First the input, so that of what has been packed the gradient is the last: its product with the weights comes next.
        let input = gradients.map { _ in operand(kept.value()) }
        let dy = ThinOperand(
            dy, offsets: groups.offsets, columns: entries.map(\.update.outputs.lowerBound), on: compute)
        forEachRowTile { entry, rows in
            withB(entry, 0..<entry.update.outputs.count) { b in
                dy.project(
                    group: entry.group, rows: rows, columns: entry.update.outputs, rank: entry.update.rank,
                    scale: entry.update.scale, b,
                    into: g.output + entry.hidden + (rows.lowerBound - entry.rows.lowerBound) * entry.update.rank)
            }
        }
        if let gradients, let input { accumulate(input, dy, g, into: gradients) }
        return g
    }

    /// Adds the gradients of all factors to those of the parameters that they came from, some columns at a time.
    private func accumulate(_ input: Operand, _ dy: ThinOperand, _ g: Tensor, into gradients: Gradients) {
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
                let target = StridedTarget(
                    places[part.parameter].values + part.offset + columns.lowerBound * part.along,
                    rowStride: part.across, columnStride: part.along, adding: adding[part.parameter])
                if part.isA {
                    gradientOfA(input, part.entry, g, columns, into: target)
                } else {
                    gradientOfB(part.entry, dy, columns, into: target)
                }
            }
        }
    }

    /// Some columns of dA, `[rank, columns]`.
    private func gradientOfA(
        _ input: Operand, _ entry: Entry, _ g: Tensor, _ columns: Range<Int>, into target: StridedTarget
    ) {
        let rank = entry.update.rank
        switch input {
        case .whole(let x):
            x.gradient(group: entry.group, columns: columns, rank: rank, g.floats + entry.hidden, into: target)
        case .masked(let x):
            for rows in TileGrid.heights(of: entry.rows, at: Self.tileRows) {
                withMasked(x, entry, rows) { x in
                    compute.thinGradient(
                        rows: rows.count, columns: columns.count, rank: rank,
                        g.floats + entry.hidden + (rows.lowerBound - entry.rows.lowerBound) * rank,
                        MatrixPointer(x + columns.lowerBound, stride: inputs),
                        into: rows.lowerBound > entry.rows.lowerBound ? target.further : target)
                }
            }
        }
    }

    /// Some columns of the transpose of dB, `[rank, columns]`.
    private func gradientOfB(_ entry: Entry, _ dy: ThinOperand, _ columns: Range<Int>, into target: StridedTarget) {
        let first = entry.update.outputs.lowerBound
        dy.gradient(
            group: entry.group, columns: first + columns.lowerBound..<first + columns.upperBound,
            rank: entry.update.rank, hidden.floats + entry.hidden, into: target)
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
            withA(entry, columns) { a in
                addBackward(g, entry, rows, columns, a, panel, stride)
            }
        }
    }

    private func addBackward(
        _ g: Tensor, _ entry: Entry, _ rows: Range<Int>, _ columns: Range<Int>, _ a: MatrixPointer,
        _ panel: UnsafeMutablePointer<Float>, _ stride: Int
    ) {
        func expand(accumulate: Bool, into out: UnsafeMutablePointer<Float>, _ stride: Int) {
            compute.thinExpand(
                rows: rows.count, columns: columns.count, rank: entry.update.rank, g.floats + entry.hidden, a,
                accumulate: accumulate, into: out, stride: stride)
        }
        guard let dropout = mask(of: entry) else { return expand(accumulate: true, into: panel, stride) }
        compute.withScratch(rows.count * columns.count) { scratch in
            expand(accumulate: false, into: scratch, columns.count)
            for (index, row) in rows.enumerated() {
                let values = scratch + index * columns.count
                drop(row, entry, dropout, columns, values)
                martlet_add(Int64(columns.count), panel + index * stride, values, panel + index * stride)
            }
        }
    }

    // MARK: Rows

    private func forEachRowTile(_ body: (Entry, Range<Int>) -> Void) {
        let tiles = entries.flatMap { entry in TileGrid.heights(of: entry.rows, at: Self.tileRows).map { (entry, $0) } }
        compute.threads.run(tiles: tiles.count) { body(tiles[$0].0, tiles[$0].1) }
    }

    private func mask(of entry: Entry) -> DropoutContext? { entry.update.dropoutRate > 0 ? dropout : nil }

    /// Calls `body` with rows of the input after dropout.
    private func withMasked(
        _ x: Tensor, _ entry: Entry, _ rows: Range<Int>, _ body: (UnsafePointer<Float>) -> Void
    ) {
        let values = x.floats + rows.lowerBound * inputs
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
