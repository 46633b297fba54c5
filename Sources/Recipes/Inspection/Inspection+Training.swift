import Checkpoints
import Foundation
import Layers
import Models
import Tokenization
import Training

extension Inspection {
    /// A PEFT adapter, also one of a kind that this program cannot train.
    static func adapter(_ folder: URL) throws -> JSONObject {
        let place = folder.appendingPathComponent("adapter_config.json")
        guard let data = try? RegularFile.contents(place) else { throw InspectionError.unreadable(path: place.path) }
        let configuration = try BaseModel.parse(data, place.path)
        let file = try SafetensorsFile(folder.appendingPathComponent("adapter_model.safetensors"))
        return JSONObject([
            ("peft_type", configuration["peft_type"] ?? .null), ("rank", configuration["r"] ?? .null),
            ("alpha", configuration["lora_alpha"] ?? .null), ("dropout", configuration["lora_dropout"] ?? .null),
            ("use_rslora", configuration["use_rslora"] ?? .bool(false)),
            ("rank_pattern", configuration["rank_pattern"] ?? .object([:])),
            ("alpha_pattern", configuration["alpha_pattern"] ?? .object([:])),
            ("target_modules", configuration["target_modules"] ?? .null),
            ("target_parameters", configuration["target_parameters"] ?? .null),
            ("expert_layout", (try? AdapterFolder.expertLayout(of: folder)).flatMap { $0 }.map { .string($0.rawValue) } ?? .null),
            ("base_model", configuration["base_model_name_or_path"] ?? .null),
        ]).followed(by: try TensorCensus(file).facts)
    }

    /// A checkpoint whose checksums are right.
    static func checkpoint(_ folder: URL) throws -> JSONObject {
        let checkpoint = try TrainingCheckpoint(folder)
        return progress(checkpoint.state).followed(by: ["adapter": .object(try adapter(folder))])
    }

    /// A run. It is not locked for this: a run that is being written can be looked at.
    static func run(_ folder: URL) throws -> JSONObject {
        let (steps, newest, damaged) = checkpoints(of: folder)
        let recipe = try Recipe.read(contentsOf: folder.appendingPathComponent("resolved.yaml").path)
        let adapter = folder.appendingPathComponent("adapter")
        let isWritten = FileManager.default.fileExists(
            atPath: adapter.appendingPathComponent("adapter_config.json").path)
        let state = newest.map { progress($0.state) } ?? ["step": .integer(0), "finished": .bool(false)]
        return JSONObject([("base_model", .string(recipe.model.path))])
            .followed(by: state)
            .followed(by: [
                "checkpoints": .array(steps.map { .integer($0) }),
                "damaged_checkpoints": .array(damaged.map { .integer($0) }),
                "adapter": isWritten ? .string(adapter.path) : .null,
            ])
    }

    /// Steps that have a checkpoint, the newest whole one, and the damaged ones that are newer.
    private static func checkpoints(of run: URL) -> (steps: [Int], newest: TrainingCheckpoint?, damaged: [Int]) {
        let folder = run.appendingPathComponent("checkpoints")
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        let found = names.compactMap { name in
            name.hasPrefix("step-") ? Int(name.dropFirst(5)).map { (step: $0, name: name) } : nil
        }.sorted { $0.step < $1.step }
        var damaged: [Int] = []
        for (step, name) in found.reversed() {
            if let checkpoint = try? TrainingCheckpoint(folder.appendingPathComponent(name)) {
                return (found.map(\.step), checkpoint, damaged)
            }
            damaged.append(step)
        }
        return (found.map(\.step), nil, damaged)
    }

    private static func progress(_ state: TrainingState) -> JSONObject {
        func number(_ value: Double?) -> JSONValue { value.flatMap { $0.isFinite ? .number($0) : nil } ?? .null }
        return [
            "step": .integer(state.step), "finished": .bool(state.isFinished), "tokens": .integer(state.tokens),
            "supervised_tokens": .integer(state.supervisedTokens), "loss": number(state.loss),
            "validation_loss": number(state.validationLoss), "best_loss": number(state.bestLoss),
            "best_step": state.bestStep.map { .integer($0) } ?? .null, "precision": .string(state.identity.precision),
            "instruction_set": .string(state.identity.instructionSet),
            "openblas_core": .string(state.identity.openBLASCore),
        ]
    }
}
