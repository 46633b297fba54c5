import Autograd
import Checkpoints
import Foundation
import Layers
import Models
import TensorCore
import Testing

/// Adapters whose layers differ in rank and alpha, against PEFT.
@Suite struct AdapterPatternTests {
    let compute: Compute

    init() throws { compute = try Compute(threadCount: 2) }

    /// An adapter that PEFT has written over a recorded model, with what it computes.
    struct Recorded: Sendable, CustomTestStringConvertible {
        let model, adapter: String
        var testDescription: String { "\(model)/\(adapter)" }
        var folder: URL { fixtures.appendingPathComponent(testDescription) }

        func numbers() throws -> [String: Any] {
            let data = try Data(contentsOf: folder.appendingPathComponent("expected.json"))
            return try JSONSerialization.jsonObject(with: data) as? [String: Any] ?? [:]
        }

        func tensors() throws -> SafetensorsFile {
            try SafetensorsFile(folder.appendingPathComponent("expected.safetensors"))
        }
    }
    static let dense = Recorded(model: "llama", adapter: "adapter_patterns")
    static let recorded = [dense, Recorded(model: "mixtral", adapter: "adapter_converted")]

    /// Path of a layer's factors in a file, without its ending.
    private func path(_ site: Int, of adapter: LoRAAdapter) -> String {
        String(adapter.parameters[2 * site].name.dropLast(".lora_A".count))
    }

    @Test(arguments: recorded) func lossLogitsAndGradients(recorded: Recorded) throws {
        let reference = try Reference(recorded.model)
        let model = try reference.model(on: compute)
        let adapter = try AdapterFolder(recorded.folder, on: compute).attach(to: model.adapterTargets)
        let numbers = try recorded.numbers()
        let scales = numbers["scales"] as? [String: Double] ?? [:]
        #expect(adapter.layers.count == scales.count)
        for (site, strength) in adapter.strengths.enumerated() {
            let expected = scales[path(site, of: adapter)] ?? .nan
            #expect(abs(Double(strength.scale) / expected - 1) < 1e-6, "\(path(site, of: adapter))")
        }
        #expect(Set(adapter.strengths.map(\.rank)).count > 1)
        let (ids, targets, layout) = try reference.batch()
        let expected = try recorded.tensors().tensor("logits_row0").expandAll()
        let logits = model.logits(ids, layout: layout, on: compute).toArray()
        #expect(largestDifference(Array(logits.prefix(expected.count)), expected) < Tolerance.logits)
        let gradients = Gradients()
        let loss = meanLoss(model, ids, targets, layout, gradients: gradients, on: compute)
        #expect(abs(loss - (numbers["loss"] as? Double ?? .nan)) < Tolerance.loss)
        let norms = numbers["gradient_norms"] as? [String: Double] ?? [:]
        #expect(norms.count == adapter.parameters.count)
        let supervised = Double(targets.count { $0 >= 0 })
        for parameter in adapter.parameters {
            let norm = try #require(gradients[parameter]).toArray().reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
            #expect(abs(norm / supervised / (norms[parameter.name] ?? .nan) - 1) < Tolerance.gradient, "\(parameter.name)")
        }
    }

    @Test(arguments: recorded) func mergedWeights(recorded: Recorded) throws {
        let reference = try Reference(recorded.model)
        let model = try reference.model(on: compute)
        let adapter = try AdapterFolder(recorded.folder, on: compute).attach(to: model.adapterTargets)
        let merged = MergedTensors(try reference.source(), adapter: adapter)
        let sums = try recorded.numbers()["merged_square_sums"] as? [String: Double] ?? [:]
        #expect(merged.changedNames == sums.keys.sorted())
        for (name, expected) in sums {
            let squares = try merged.tensor(name).expandAll().reduce(0.0) { $0 + Double($1) * Double($1) }
            #expect(abs(squares / expected - 1) < 1e-6, "\(name)")
        }
        let tensors = try recorded.tensors()
        let prefix = "merged."
        #expect(tensors.names.contains { $0.hasPrefix(prefix) })
        for name in tensors.names where name.hasPrefix(prefix) {
            let found = try merged.tensor(String(name.dropFirst(prefix.count))).expandAll()
            #expect(largestDifference(found, try tensors.tensor(name).expandAll()) < Tolerance.merged, "\(name)")
        }
    }

    @Test(arguments: recorded) func writtenAgainEveryLayerHasTheSameRankAndScale(recorded: Recorded) throws {
        let model = try Reference(recorded.model).model(on: compute)
        let adapter = try AdapterFolder(recorded.folder, on: compute).attach(to: model.adapterTargets)
        try withFolder { folder in
            try AdapterFolder.write(adapter, baseModel: "tiny", to: folder)
            let again = try AdapterFolder(folder, on: compute).attach(to: model.adapterTargets)
            #expect(again.strengths == adapter.strengths && again.layers.map(\.name) == adapter.layers.map(\.name))
            #expect(again.configuration.usesRSLoRA == adapter.configuration.usesRSLoRA)
            #expect(again.configuration.rank == adapter.configuration.rank)
            let text = try String(contentsOf: folder.appendingPathComponent("adapter_config.json"), encoding: .utf8)
            #expect(text.contains("rank_pattern") && text.contains("alpha_pattern"))
            #expect(text.contains("use_rslora") == adapter.configuration.usesRSLoRA)
        }
    }

    @Test func onlyWhatIsUsedIsWritten() throws {
        let reference = try Reference("llama")
        let adapter = try reference.attachAdapter(to: try reference.model(on: compute), on: compute)
        try withFolder { folder in
            try AdapterFolder.write(adapter, baseModel: "tiny", to: folder)
            let text = try String(contentsOf: folder.appendingPathComponent("adapter_config.json"), encoding: .utf8)
            #expect(!text.contains("pattern") && !text.contains("rslora"))
        }
    }

    /// The patterns of a file name layers as the file does, wherever its release of transformers has the text model.
    @Test func patternsNameThePathsOfTheFile() throws {
        let reference = try Reference("llama")
        try withAdapter { folder in
            let weights = folder.appendingPathComponent("adapter_model.safetensors")
            let file = try SafetensorsFile(weights)
            let names = file.names.map { ($0, $0.replacingOccurrences(of: ".model.layers", with: ".model.language_model.layers")) }
            let other = folder.appendingPathComponent("other.safetensors")
            let tensors = try names.map { TensorDeclaration(name: $1, shape: try file.tensor($0).shape, type: .float32) }
            try SafetensorsWriter.write(to: other, tensors: tensors, metadata: [:]) { writer in
                for (name, moved) in names { try writer.append(try file.tensor(name).expandAll(), to: moved) }
            }
            try FileManager.default.removeItem(at: weights)
            try FileManager.default.moveItem(at: other, to: weights)
            try change(folder) { $0["alpha_pattern"] = [#"^model\.language_model\.layers\.0\..*q_proj"#: 20] }
            let adapter = try AdapterFolder(folder, on: compute).attach(to: try reference.model(on: compute).linears)
            #expect(adapter.strengths.map(\.alpha).count { $0 == 20 } == 1 && adapter.strengths[0].scale == 5)
        }
    }

    /// Experts of one mixture, and projections of one expert, may have adapters of different ranks: a smaller one is the
    /// larger one with rows and columns of zeros.
    @Test func expertsOfDifferentRanks() throws {
        let reference = try Reference("mixtral")
        let (ids, targets, layout) = try reference.batch()
        var configuration = AdapterConfiguration(rank: 4, alpha: 8, usesRSLoRA: true, targets: .names(["w1", "w2", "w3"]))
        configuration.rankPatterns = try NamePatterns([("w2", 2), (#"experts.1.w\d"#, 3), ("layers.1.*w1", 1)])
        let model = try reference.model(on: compute)
        let adapter = try LoRAAdapter(attaching: configuration, to: model.adapterTargets, seed: 1, on: compute)
        #expect(Set(adapter.strengths.map(\.rank)) == [1, 2, 3, 4])
        for parameter in adapter.parameters where parameter.name.hasSuffix("B") {
            parameter.update { values in for index in values.indices { values[index] = Float(index % 7 - 3) / 20 } }
        }
        let gradients = Gradients()
        let loss = meanLoss(model, ids, targets, layout, gradients: gradients, on: compute)

        let padded = try reference.model(on: compute)
        var factors: [String: (a: Tensor, b: Tensor)] = [:]
        var uniform = AdapterConfiguration(rank: 4, alpha: 8)
        uniform.alphaPatterns = try NamePatterns(
            zip(adapter.layers, adapter.strengths).map { (pattern: $0.name, value: 4 * $1.scale) })
        for (site, strength) in adapter.strengths.enumerated() {
            let (a, b) = (adapter.parameters[2 * site].value, adapter.parameters[2 * site + 1].value)
            let rows = a.toArray() + Array(repeating: 0, count: (4 - strength.rank) * a.columns)
            let values = b.toArray()
            let columns = (0..<4 * b.rows).map { $0 % 4 < strength.rank ? values[$0 / 4 * strength.rank + $0 % 4] : 0 }
            factors[adapter.layers[site].name] = (
                compute.tensor(rows, shape: [4, a.columns]), compute.tensor(columns, shape: [b.rows, 4])
            )
        }
        let other = try LoRAAdapter(uniform, factors: factors, layers: padded.adapterTargets)
        let otherGradients = Gradients()
        let otherLoss = meanLoss(padded, ids, targets, layout, gradients: otherGradients, on: compute)
        #expect(abs(loss - otherLoss) < 1e-6)
        var compared = Set<Int>()
        for (site, strength) in adapter.strengths.enumerated() {
            let (found, expected) = (gradients[adapter.parameters[2 * site]], otherGradients[other.parameters[2 * site]])
            let count = strength.rank * (found?.columns ?? 0)
            guard let found, let expected, expected.toArray().contains(where: { $0 != 0 }) else { continue }
            #expect(relativeError(found.toArray(), Array(expected.toArray().prefix(count))) < Tolerance.gradient)
            compared.insert(strength.rank)
        }
        #expect(compared == [1, 2, 3, 4])
    }

    // MARK: Malformed

    private func withFolder(_ body: (URL) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try body(folder)
    }

    /// A copy of the plain adapter of rank 4 and alpha 8.
    private func withAdapter(_ body: (URL) throws -> Void) throws {
        try withFolder { root in
            let folder = root.appendingPathComponent("a")
            try FileManager.default.copyItem(at: fixtures.appendingPathComponent("llama/adapter"), to: folder)
            try body(folder)
        }
    }

    private func change(_ folder: URL, _ change: (inout [String: Any]) -> Void) throws {
        let place = folder.appendingPathComponent("adapter_config.json")
        var object = try JSONSerialization.jsonObject(with: Data(contentsOf: place)) as? [String: Any] ?? [:]
        change(&object)
        try JSONSerialization.data(withJSONObject: object).write(to: place)
    }

    @Test(arguments: [
        ("acme/Tiny-1.5B", "Tiny-1.5B", true), ("Tiny-1.5B", "tiny-1.5B.Q4_K_M", true), ("Tiny.gguf", "Tiny-nf4", true),
        ("Tiny-bf16", "acme/Tiny", true), ("Tiny", "0123456789abcdef0123456789abcdef01234567", true),
        ("acme/Tiny-1.5B", "Tiny-1.5B-Instruct", false), ("Tiny-1.5B", "Tiny-3B", false),
    ])
    func anotherBaseIsRemarkedUpon(made: String, used: String, isSame: Bool) throws {
        try withAdapter { folder in
            try change(folder) { $0["base_model_name_or_path"] = made }
            let remark = try AdapterFolder(folder, on: compute).remark(onBaseNamed: used)
            #expect((remark == nil) == isSame, "\(remark ?? "nothing")")
        }
    }

    @Test(arguments: [
        (#""rank_pattern": {"q_proj(": 4}"#, "rank_pattern has the key q_proj(, which is not a regular expression"),
        (#""alpha_pattern": {"[": 4}"#, "alpha_pattern has the key [, which is not a regular expression"),
        (#""rank_pattern": {"q_proj": 0}"#, "rank_pattern gives q_proj the rank 0"),
        (#""rank_pattern": {"q_proj": 65537}"#, "rank_pattern gives q_proj the rank 65537"),
        (#""rank_pattern": {"q_proj": 2.5}"#, "rank_pattern gives q_proj the rank 2.5, expected a whole number"),
        (#""rank_pattern": {"q_proj": "4"}"#, "rank_pattern.q_proj is no number"),
        (#""rank_pattern": [4]"#, "rank_pattern is no object"),
        (#""rank_pattern": {"q_proj": 2}"#, "q_proj.lora_A is of rank 4, but the adapter's configuration (r and rank_pattern) gives the layer rank 2"),
        (#""rank_pattern": {"q_proj": 4, "q_proj": 4}"#, "rank_pattern has a key more than once"),
        (#""alpha_pattern": {"q_proj": 1e39}"#, "alpha_pattern gives q_proj the alpha 1e+39"),
        (#""alpha_pattern": {"q_proj": 1e999}"#, "a number in it does not fit (NaN, Infinity"),
        (#""alpha_pattern": {"q_proj": NaN}"#, "a number in it does not fit (NaN, Infinity"),
        (#""alpha_pattern": {"q_proj": null}"#, "alpha_pattern.q_proj is null"),
    ])
    func whatCannotBeReadIsNamed(text: String, sentence: String) throws {
        let reference = try Reference("llama")
        try withAdapter { folder in
            let place = folder.appendingPathComponent("adapter_config.json")
            let key = text.split(separator: ":")[0]
            let config = try String(contentsOf: place, encoding: .utf8).replacingOccurrences(of: "\(key): {}", with: text)
            #expect(config.contains(text))
            try Data(config.utf8).write(to: place)
            do {
                _ = try AdapterFolder(folder, on: compute).attach(to: try reference.model(on: compute).linears)
                Issue.record("it was read")
            } catch {
                #expect("\(error)".contains(sentence) && !"\(error)".contains("\n"), "\(error)")
            }
        }
    }

    @Test func patternsThatNameNoLayerAndNoneAtAll() throws {
        let reference = try Reference("llama")
        for value in [["never": 3], [:], NSNull()] as [Any] {
            try withAdapter { folder in
                try change(folder) { ($0["rank_pattern"], $0["alpha_pattern"]) = (value, value) }
                let adapter = try AdapterFolder(folder, on: compute).attach(to: try reference.model(on: compute).linears)
                #expect(adapter.strengths.allSatisfy { $0 == AdapterStrength(rank: 4, alpha: 8, scale: 2) })
            }
        }
    }
}
