import ArgumentParser
import Autograd
import Checkpoints
import Datasets
import Foundation
import Layers
import Models
import Recipes
import TensorCore
import Tokenization
import Training

struct Eval: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measures loss and perplexity of a model, with or without an adapter, on data.",
        discussion: "The loss is the mean over supervised tokens, natural logarithm. Give --data more than once for several files.")

    @OptionGroup var model: ModelOptions
    @OptionGroup var form: PackingOptions
    @OptionGroup var compute: ComputeOptions

    @Option(help: "A data file, a folder of them or a pattern: conversations, instructions, completions, texts or token ids, found out from the first record.")
    var data: [String]

    @Option(help: "Format of the data files: \(DatasetFormat.allCases.map(\.rawValue).joined(separator: ", ")); left out, it is found out.")
    var format: String?

    @Option(name: .customLong("train-on"), help: "What counts in conversations: assistant, last or all, or parts of answers such as final,thinking.")
    var trainOn = "assistant"

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
        if data.isEmpty { throw ValidationError("--data is missing: name at least one file") }
        if supervision == nil {
            let parts = AnswerPart.allCases.map(\.rawValue).joined(separator: ",")
            throw ValidationError("--train-on is \(trainOn), expected assistant, last or all, or some of \(parts)")
        }
        if let format, DatasetFormat(rawValue: format) == nil {
            throw ValidationError("--format is \(format), expected one of \(DatasetFormat.allCases.map(\.rawValue).joined(separator: ", "))")
        }
    }

    private var supervision: TrainOn? { TrainOn(trainOn.split(separator: ",").map(String.init)) }

    func run() throws {
        let compute = try compute.makeCompute()
        let loaded = try LoadedModel(model, form, on: compute)
        let encoder = ExampleEncoder(
            tokenizer: loaded.base.tokenizer, template: loaded.base.template, vocabularySize: loaded.network.vocabularySize,
            contextLength: loaded.base.contextLength, options: EncodingOptions(trainOn: supervision ?? .assistant))
        var results: [(path: String, evaluation: Evaluation)] = []
        for path in data {
            var dataset = EncodedDataset()
            let reader = try DatasetReader(path: path, format: format.flatMap(DatasetFormat.init(rawValue:)))
            let summary = try encoder.encode(reader, into: &dataset)
            try encoder.check(summary)
            if summary.formatWasDetected && !json { Terminal.note("\(path) holds records of the format \(summary.format.rawValue)") }
            if !json { for remark in summary.remarks { Terminal.note(remark) } }
            results.append((path, try Evaluation(of: loaded.network, on: dataset, compute: compute)))
        }
        report(results)
    }

    private func report(_ results: [(path: String, evaluation: Evaluation)]) {
        let all = Evaluation(combining: results.map(\.evaluation))
        if json {
            var object = fields(all)
            object["datasets"] = .array(results.map { result in
                var entry: JSONObject = ["path": .string(result.path)]
                for (key, value) in fields(result.evaluation).members { entry[key] = value }
                return .object(entry)
            })
            return Terminal.output(object)
        }
        for (path, evaluation) in results + (results.count > 1 ? [("all", all)] : []) {
            Terminal.output(
                String(
                    format: "%@: loss %.4f, perplexity %.3f over %d supervised of %d tokens", path as NSString,
                    evaluation.loss, evaluation.perplexity, evaluation.supervisedTokens, evaluation.tokens))
        }
    }

    private func fields(_ evaluation: Evaluation) -> JSONObject {
        [
            "loss": .finite(evaluation.loss), "perplexity": .finite(evaluation.perplexity),
            "supervised_tokens": .integer(evaluation.supervisedTokens), "tokens": .integer(evaluation.tokens),
        ]
    }
}
