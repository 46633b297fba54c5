import Foundation
import Recipes
import TensorCore

/// The tiny models that the tests of Models check against their reference.
let tinyModels = repository.appendingPathComponent("Tests/ModelsTests/Fixtures")

/// Runs `body` with a fresh folder that is deleted afterwards.
func withFolder<Result>(_ body: (URL) throws -> Result) throws -> Result {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    return try body(folder)
}

/// Runs `body` with a copy of the tiny model (without what was recorded about it) that may be damaged.
func withModelCopy<Result>(_ body: (URL) throws -> Result) throws -> Result {
    try withFolder { root in
        let copy = root.appendingPathComponent("tiny")
        try FileManager.default.createDirectory(at: copy, withIntermediateDirectories: true)
        for name in [
            "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja",
        ] {
            try FileManager.default.copyItem(
                at: tinyModels.appendingPathComponent("llama/" + name), to: copy.appendingPathComponent(name))
        }
        return try body(copy)
    }
}

/// Changes a JSON file that holds an object.
func change(_ file: URL, _ body: (inout [String: Any]) -> Void) throws {
    var object = try JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any] ?? [:]
    body(&object)
    try JSONSerialization.data(withJSONObject: object).write(to: file)
}

/// What `body` throws, in words; empty if it succeeds.
func message(_ body: () throws -> Void) -> String {
    do {
        try body()
        return ""
    } catch {
        return "\(error)"
    }
}
