import ArgumentParser
import Foundation
import Recipes
import Tokenization

struct Inspect: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Says what a file or folder is: model, GGUF file, adapter, checkpoint, run or safetensors file.",
        discussion: "Reads headers and small files; of a checkpoint also the checksums. Weights are not loaded.")

    @Argument(help: "A model folder, .gguf file, adapter folder, checkpoint folder, run folder or .safetensors file.")
    var path: String

    @Flag(help: "Print one JSON object.")
    var json = false

    func run() throws {
        let inspection = try Inspection(path)
        if json { return Terminal.output(inspection.facts) }
        for member in inspection.facts.members { show(member.key, member.value, indent: "") }
    }

    /// One line a fact; objects are indented below their name.
    private func show(_ key: String, _ value: JSONValue, indent: String) {
        // Names of types (Q8_0) stay as they are: they begin with a capital letter.
        let name = indent + (key.first?.isUppercase == true ? key : key.replacing("_", with: " "))
        guard let object = value.objectValue else { return Terminal.output(name + ": " + text(key, value)) }
        if object.members.isEmpty { return Terminal.output(name + ": none") }
        Terminal.output(name + ":")
        for member in object.members { show(member.key, member.value, indent: indent + "  ") }
    }

    private func text(_ key: String, _ value: JSONValue) -> String {
        if let flag = value.boolValue { return flag ? "yes" : "no" }
        if value.isNull { return "unknown or none" }
        if let items = value.arrayValue {
            let list = items.map { text("", $0) }.joined(separator: ", ")
            // Of checkpoints the steps are listed, which could be taken for their number.
            let isOfSteps = key.hasSuffix("checkpoints")
            return items.isEmpty ? "none" : isOfSteps ? "after step\(items.count > 1 ? "s" : "") \(list)" : list
        }
        if key == "bytes", let count = value.intValue {
            return ByteCountFormatter.string(fromByteCount: Int64(count), countStyle: .decimal)
        }
        return value.stringValue ?? value.serialized(pretty: false)
    }
}
