import CKernels
import TensorCore

/// The low-rank ways through a grouped linear layer, for the experts that have rows; forward beside backward.
///
/// Factors are copied out of their parameters, so that kernels find A as `[rank, inputs]` and B as `[outputs, rank]`
/// however the parameters hold them. Work is cut by expert and by rows or columns, with one barrier for all experts.
struct GroupedAdapters {
    /// One update that has rows, and where its parts lie in the tensors that hold those of all.
    private struct Entry {
        let update: ExpertUpdate
        let rows: Range<Int>
        /// First element of A and of B in `factors`.
        let a, b: Int
        /// First element of the update's `[rows, rank]` in `hidden`.
        let hidden: Int
    }

    private let entries: [Entry]
    /// Per expert its entries.
    private let byGroup: [Int: [Int]]
    /// A and B of all entries as products see them.
    private let factors: Tensor
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
        var (factorCount, hiddenCount) = (0, 0)
        for (group, updates) in updates.enumerated() {
            let rows = groups.offsets[group]..<groups.offsets[group + 1]
            for update in updates where !rows.isEmpty {
                byGroup[group, default: []].append(entries.count)
                let b = factorCount + update.rank * weight.inputs
                entries.append(Entry(update: update, rows: rows, a: factorCount, b: b, hidden: hiddenCount))
                factorCount = b + update.rank * update.outputs.count
                hiddenCount += rows.count * update.rank
            }
        }
        (self.entries, self.byGroup) = (entries, byGroup)
        let factors = compute.empty([factorCount])
        compute.threads.run(tiles: entries.count) { tile in
            let entry = entries[tile]
            let (update, outputs) = (entry.update, entry.update.outputs.count)
            update.a.matrix.copy(rows: 0..<update.rank, columns: weight.inputs, to: factors.output + entry.a)
            update.b.matrix.copy(rows: 0..<outputs, columns: update.rank, to: factors.output + entry.b)
        }
        self.factors = compute.rounded(factors)
        input = compute.rounded(x)
        hidden = compute.empty([hiddenCount])
        forEachRowTile { entry, rows in
            withInput(entry, rows) { x in
                let target =
                    hidden.output + entry.hidden + (rows.lowerBound - entry.rows.lowerBound) * entry.update.rank
                compute.thinProject(
                    rows: rows.count, columns: inputs, rank: entry.update.rank, scale: entry.update.scale, x,
                    self.factors.floats + entry.a, into: target)
            }
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
            let (rank, first) = (entry.update.rank, outputs.lowerBound - entry.update.outputs.lowerBound)
            compute.multiply(
                rows.count, outputs.count, rank, MatrixPointer(hidden.floats + entry.hidden, stride: rank),
                MatrixPointer(factors.floats + entry.b + first * rank, stride: rank).transposed, beta: 1,
                into: panel + outputs.lowerBound - columns.lowerBound, stride: stride)
        }
    }

    // MARK: Backward

    /// Sums the gradients of A and B and returns `g = s·dy·B` of all entries.
    func backward(_ dy: Tensor, into gradients: Gradients?) -> Tensor {
        let (dy, g) = (compute.rounded(dy), compute.empty([hidden.count]))
        forEachRowTile { entry, rows in
            let (rank, outputs) = (entry.update.rank, entry.update.outputs)
            compute.multiply(
                rows.count, rank, outputs.count, alpha: entry.update.scale,
                MatrixPointer(dy.floats + rows.lowerBound * dy.columns + outputs.lowerBound, stride: dy.columns),
                MatrixPointer(factors.floats + entry.b, stride: rank),
                into: g.output + entry.hidden + (rows.lowerBound - entry.rows.lowerBound) * rank, stride: rank)
        }
        if let gradients { accumulate(factorGradients(dy, g), into: gradients) }
        return g
    }

    /// dA `[rank, inputs]` and the transpose of dB, `[rank, outputs]`, of all entries, where A and B lie in `factors`.
    private func factorGradients(_ dy: Tensor, _ g: Tensor) -> Tensor {
        let sums = compute.empty([factors.count])
        var tiles: [(entry: Int, isA: Bool, columns: Range<Int>)] = []
        for (index, entry) in entries.enumerated() {
            for columns in TileGrid.pieces(inputs, target: Self.tileColumns) { tiles.append((index, true, columns)) }
            for columns in TileGrid.pieces(entry.update.outputs.count, target: Self.tileColumns) {
                tiles.append((index, false, columns))
            }
        }
        compute.threads.run(tiles: tiles.count) { tile in
            let (index, isA, columns) = tiles[tile]
            let entry = entries[index]
            let (rank, width) = (entry.update.rank, isA ? inputs : entry.update.outputs.count)
            let sum = sums.output + (isA ? entry.a : entry.b) + columns.lowerBound
            for row in 0..<rank { (sum + row * width).update(repeating: 0, count: columns.count) }
            if !isA {
                let start =
                    dy.floats + entry.rows.lowerBound * dy.columns + entry.update.outputs.lowerBound
                    + columns.lowerBound
                return compute.thinGradient(
                    rows: entry.rows.count, columns: columns.count, rank: rank, hidden.floats + entry.hidden,
                    MatrixPointer(start, stride: dy.columns), into: sum, stride: width)
            }
            for rows in Self.rowTiles(entry.rows) {
                withInput(entry, rows) { x in
                    compute.thinGradient(
                        rows: rows.count, columns: columns.count, rank: rank,
                        g.floats + entry.hidden + (rows.lowerBound - entry.rows.lowerBound) * rank,
                        MatrixPointer(x + columns.lowerBound, stride: inputs), into: sum, stride: width)
                }
            }
        }
        return sums
    }

    /// Adds gradients to those of the parameters that the factors came from.
    private func accumulate(_ sums: Tensor, into gradients: Gradients) {
        let targets = Targets(entries, inputs: inputs)
        gradients.accumulate(targets.parameters, on: compute) { places in
            let adding = places.indices.map { index in
                let (place, count) = (places[index], targets.parameters[index].value.count)
                if place.adding || targets.covered[index] == count { return place.adding }
                // Experts without rows share the parameter.
                place.values.update(repeating: 0, count: count)
                return true
            }
            compute.threads.run(tiles: targets.parts.count) { tile in
                let (index, entry, isA) = targets.parts[tile]
                let view = isA ? entry.update.a : entry.update.b
                martlet_strided_put(
                    Int64(entry.update.rank), Int64(isA ? inputs : entry.update.outputs.count),
                    sums.floats + (isA ? entry.a : entry.b), adding[index] ? 1 : 0, places[index].values + view.offset,
                    Int64(isA ? view.rowStride : view.columnStride), Int64(isA ? view.columnStride : view.rowStride))
            }
        }
    }

    /// Where the gradients of factors go.
    private struct Targets {
        private(set) var parameters: [Parameter] = []
        /// Per parameter how many of its elements get a gradient.
        private(set) var covered: [Int] = []
        /// Both factors of every entry.
        private(set) var parts: [(parameter: Int, entry: Entry, isA: Bool)] = []

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
                    covered[index] += entry.update.rank * (isA ? inputs : entry.update.outputs.count)
                    parts.append((index, entry, isA))
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
            let left = MatrixPointer(g.floats + entry.hidden, stride: entry.update.rank)
            let right = MatrixPointer(factors.floats + entry.a + columns.lowerBound, stride: inputs)
            guard let dropout = mask(of: entry) else {
                compute.multiply(
                    rows.count, columns.count, entry.update.rank, left, right, beta: 1, into: panel, stride: stride)
                continue
            }
            compute.withScratch(rows.count * columns.count) { scratch in
                compute.multiply(
                    rows.count, columns.count, entry.update.rank, left, right, into: scratch, stride: columns.count)
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
