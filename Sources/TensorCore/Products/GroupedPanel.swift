/// Columns of the result of one group, and the blocks of weights that they are computed from, in order.
struct GroupedPanel {
    struct Piece {
        let weight: Weight
        let storedRows, storedColumns: Range<Int>
        /// The first column of the operand that meets this block.
        let operandColumn: Int
        /// Whether the stored rows are columns of the result.
        let isTransposed: Bool
        let isFirst: Bool

        var depth: Int { isTransposed ? storedColumns.count : storedRows.count }
        var operandColumns: Range<Int> { operandColumn..<operandColumn + depth }
    }

    let group: Int
    let rows, columns: Range<Int>
    let pieces: [Piece]

    /// How many groups have rows.
    static func groupsReached(_ offsets: [Int]) -> Int { zip(offsets, offsets.dropFirst()).count { $0 < $1 } }
}

extension Compute {
    /// The panels of a result: their columns are stored rows, or stored columns.
    func panels(of weight: GroupedWeight, _ offsets: [Int], areRows: Bool) -> [GroupedPanel] {
        let reached = GroupedPanel.groupsReached(offsets)
        // For half of the second-level cache of a core: 512 KB as float32, or in 16 bits for tiles and in float16. But at least
        // about eight panels, so that threads stay busy to the end.
        let inStrips = packsGroups(offsets)
        let elements = min(tiles == nil && !inStrips ? 1 << 17 : 1 << 18, reached * weight.outputs * weight.inputs / 8)
        if !areRows { return weight.columnPanels(offsets, elements: elements) }
        return weight.rowPanels(offsets, elements: elements, step: inStrips ? StripForm.float16.width : 64)
    }
}

extension GroupedWeight {
    /// Panels whose columns are stored rows, the heaviest first.
    /// - Parameter step: columns that are packed side by side.
    func rowPanels(_ offsets: [Int], elements: Int, step: Int) -> [GroupedPanel] {
        panels(offsets) { group, rows in
            // Backwards over several parts, each part of the outputs adds to all inputs.
            let isForward = rowsAreOutputs
            let groups = isForward ? parts[group].map { [$0] } : [parts[group]]
            return groups.flatMap { parts in
                TileGrid.groupedPanels(
                    rows: parts[0].rows.count, depth: parts[0].weight.columns, elements: elements, step: step
                ).map { part in
                    let first = isForward ? parts[0].outputs.lowerBound : 0
                    return GroupedPanel(
                        group: group, rows: rows, columns: first + part.lowerBound..<first + part.upperBound,
                        pieces: parts.enumerated().map { index, source in
                            GroupedPanel.Piece(
                                weight: source.weight,
                                storedRows: source.rows.lowerBound + part.lowerBound..<source.rows.lowerBound
                                    + part.upperBound,
                                storedColumns: 0..<source.weight.columns,
                                operandColumn: isForward ? 0 : source.outputs.lowerBound, isTransposed: true,
                                isFirst: index == 0)
                        })
                }
            }
        }
    }

    /// Panels whose columns are stored columns, the heaviest first.
    func columnPanels(_ offsets: [Int], elements: Int) -> [GroupedPanel] {
        panels(offsets) { group, rows in
            let isForward = !rowsAreOutputs
            let groups = isForward ? parts[group].map { [$0] } : [parts[group]]
            return groups.flatMap { parts in
                TileGrid.groupedPanels(
                    rows: rows.count, columns: parts[0].weight.columns, block: parts[0].weight.columnBlock
                ).map { part in
                    let first = isForward ? parts[0].outputs.lowerBound : 0
                    return GroupedPanel(
                        group: group, rows: rows, columns: first + part.lowerBound..<first + part.upperBound,
                        pieces: Self.pieces(parts, part, elements: elements, isForward: isForward))
                }
            }
        }
    }

    /// The blocks under some stored columns of parts, a few rows at a time.
    private static func pieces(
        _ parts: [Part], _ columns: Range<Int>, elements: Int, isForward: Bool
    ) -> [GroupedPanel.Piece] {
        var pieces: [GroupedPanel.Piece] = []
        for source in parts {
            let first = isForward ? 0 : source.outputs.lowerBound
            for part in TileGrid.pieces(source.rows.count, target: elements / max(1, columns.count)) {
                pieces.append(
                    GroupedPanel.Piece(
                        weight: source.weight,
                        storedRows: source.rows.lowerBound + part.lowerBound..<source.rows.lowerBound + part.upperBound,
                        storedColumns: columns, operandColumn: first + part.lowerBound, isTransposed: false,
                        isFirst: pieces.isEmpty))
            }
        }
        return pieces
    }

    private func panels(_ offsets: [Int], _ cut: (Int, Range<Int>) -> [GroupedPanel]) -> [GroupedPanel] {
        precondition(offsets.count == count + 1, "\(offsets.count) offsets for \(count) groups")
        let panels = (0..<count).flatMap { group in
            offsets[group] < offsets[group + 1] ? cut(group, offsets[group]..<offsets[group + 1]) : []
        }
        return panels.enumerated().sorted {
            ($0.element.rows.count * $0.element.columns.count, $1.offset) > (
                $1.element.rows.count * $1.element.columns.count, $0.offset
            )
        }.map(\.element)
    }
}
