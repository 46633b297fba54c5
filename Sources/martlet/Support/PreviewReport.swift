import Datasets
import Foundation
import Recipes
import Tokenization

/// The data of a recipe for people and for programs.
struct PreviewReport {
    /// One source of the recipe with what became of it.
    private struct Part {
        let use: String
        let summary: EncodingSummary
        let dataset: EncodedDataset
        let range: Range<Int>
        /// The share of the tokens of an epoch, for sources that are trained on.
        let share: Double?

        /// The length below which so much of the examples lie.
        func length(at quantile: Double) -> Int {
            let lengths = dataset.lengths[range].sorted()
            return lengths.isEmpty ? 0 : Int(lengths[min(lengths.count - 1, Int(quantile * Double(lengths.count)))])
        }
    }

    private let parts: [Part]
    private let data: EncodedData
    private let tokenizer: Tokenizer?
    private let examples: Int

    init(_ data: EncodedData, recipe: Recipe, tokenizer: Tokenizer?, examples: Int) {
        (self.data, self.tokenizer, self.examples) = (data, tokenizer, examples)
        let tokens = zip(data.train.sourceRanges, recipe.data.train).map { range, source in
            Double(data.train.lengths[range].reduce(0) { $0 + Int($1) }) * source.weight
        }
        let all = max(1, tokens.reduce(0, +))
        var parts = data.train.sourceRanges.enumerated().map { source, range in
            Part(
                use: "train", summary: data.summaries[source], dataset: data.train, range: range,
                share: tokens[source] / all)
        }
        for (number, dataset) in data.validation.enumerated() {
            let summary = data.summaries[recipe.data.train.count + number]
            parts.append(Part(use: "validation", summary: summary, dataset: dataset, range: 0..<dataset.count, share: nil))
        }
        self.parts = parts
    }

    // MARK: For people

    func print() {
        for part in parts {
            Terminal.output("\(part.use) \(part.summary)")
            Terminal.output("  lengths: half up to \(part.length(at: 0.5)), 95 % up to \(part.length(at: 0.95)), longest \(part.summary.longest) tokens")
            if let share = part.share, data.train.sources.count > 1 {
                Terminal.output("  \(Self.percent(share)) of the tokens of an epoch")
            }
            if let keys = part.summary.unusedKeyList { Terminal.output("  not used of these records: \(keys)") }
            for (code, count) in part.summary.problemCounts.sorted(by: { $0.key < $1.key }) {
                let first = part.summary.firstProblems.first { $0.code == code }
                Terminal.output("  \(count) × \(code.replacingOccurrences(of: "_", with: " "))\(first.map { ", the first: \($0)" } ?? "")")
            }
        }
        for overlap in data.overlaps { Terminal.output("warning: \(overlap.description)") }
        for remark in parts.flatMap(\.summary.remarks) { Terminal.output("warning: \(remark)") }
        for part in parts {
            for index in part.range.prefix(examples) { show(part.dataset[index], of: part) }
        }
    }

    private func show(_ example: EncodedExample, of part: Part) {
        let share = Double(example.supervisedCount) / Double(max(1, example.ids.count))
        Terminal.output("\n── \(part.summary.source), line \(example.line): \(example.ids.count) tokens, \(example.supervisedCount) trained (\(Self.percent(share)))")
        let isColoured = Terminal.outputIsInteractive
        var text = ""
        var wasTrained = false
        for run in example.runs(tokenizer) {
            let visible = Self.visible(run.text)
            if isColoured {
                text += "\u{1B}[\(run.isTrained ? "32" : "2")\(run.isSpecial ? ";1;7" : "")m\(visible)\u{1B}[0m"
            } else {
                if run.isTrained != wasTrained { text += run.isTrained ? "⟦" : "⟧" }
                text += visible
            }
            wasTrained = run.isTrained
        }
        if wasTrained && !isColoured { text += "⟧" }
        Terminal.output(text)
    }

    /// Control characters as pictures, so that data cannot steer the terminal.
    private static func visible(_ text: String) -> String {
        var visible = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            let isControl = scalar.value < 0x20 && scalar != "\n" && scalar != "\t"
            visible.append(isControl ? Unicode.Scalar(0x2400 + scalar.value) ?? scalar : scalar)
            if scalar.value == 0x7F || (0x80..<0xA0).contains(scalar.value) {
                visible.removeLast()
                visible.append("\u{2421}")
            }
        }
        return String(visible)
    }

    private static func percent(_ share: Double) -> String { String(format: "%.0f %%", share * 100) }

    // MARK: For programs

    var object: JSONObject {
        [
            "sources": .array(parts.map { .object(object($0)) }),
            "examples": .array(parts.flatMap { part in part.range.prefix(examples).map { .object(object(part.dataset[$0], part)) } }),
            "overlaps": .array(data.overlaps.map {
                ["source": .string($0.source), "examples": .integer($0.examples), "of": .integer($0.of)]
            }),
            "refused": data.refusal.map { .string($0.description) } ?? .null,
        ]
    }

    private func object(_ part: Part) -> JSONObject {
        let summary = part.summary
        return [
            "use": .string(part.use), "path": .string(summary.source), "format": .string(summary.format.rawValue),
            "format_detected": .bool(summary.formatWasDetected), "records": .integer(summary.records),
            "examples": .integer(part.range.count), "split_records": .integer(summary.splitRecords),
            "tokens": .integer(summary.tokens), "supervised_tokens": .integer(summary.supervisedTokens),
            "supervised_share": .number(summary.supervisedShare), "epoch_share": .finite(part.share),
            "shortest": .integer(summary.shortest), "median": .integer(part.length(at: 0.5)),
            "percentile_95": .integer(part.length(at: 0.95)), "longest": .integer(summary.longest),
            "truncated": .integer(summary.truncated), "turns_cut": .integer(summary.turnsCut),
            "ends_cut": .integer(summary.endsCut), "dropped": .integer(summary.dropped),
            "skipped": .integer(summary.skipped), "duplicates": .integer(summary.duplicates),
            "problems": .object(JSONObject(summary.problemCounts.sorted { $0.key < $1.key }.map { ($0.key, .integer($0.value)) })),
            "first_problems": .array(summary.firstProblems.map { .string($0.description) }),
            "unused_keys": .object(JSONObject(summary.unusedKeys.sorted { $0.key < $1.key }.map { ($0.key, .integer($0.value)) })),
            "remarks": .array(summary.remarks.map { .string($0) }),
        ]
    }

    private func object(_ example: EncodedExample, _ part: Part) -> JSONObject {
        [
            "use": .string(part.use), "path": .string(part.summary.source), "line": .integer(example.line),
            "tokens": .integer(example.ids.count), "supervised_tokens": .integer(example.supervisedCount),
            "text": tokenizer.map { .string($0.decode(example.ids)) } ?? .null,
            "runs": .array(example.runs(tokenizer).map {
                ["text": .string($0.text), "trained": .bool($0.isTrained), "special": .bool($0.isSpecial)]
            }),
            "input_ids": .array(example.ids.map { .integer(Int($0)) }),
            "labels": .array(example.labels.map { .integer(Int($0)) }),
            "weights": example.weights.map { .array($0.map { .number(Double($0)) }) } ?? .null,
        ]
    }
}
