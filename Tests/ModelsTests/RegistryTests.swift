import Foundation
import Models
import Testing

/// Every family has a file named like it, and every file a place in the registry.
@Suite struct RegistryTests {
    private let names = ModelRegistry.architectures.map { String(describing: $0) }

    @Test func listsEveryFile() throws {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../Sources/Models/Architectures").standardizedFileURL
        let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        #expect(!files.isEmpty)
        var families: [String] = []
        for file in files {
            let base = file.deletingPathExtension().lastPathComponent
            if try String(contentsOf: file, encoding: .utf8).contains(": ModelArchitecture {") { families.append(base) }
            #expect(names.contains { base.hasPrefix($0) }, "\(base) belongs to no registered family")
        }
        #expect(families.sorted() == names.sorted())
    }

    @Test func noTypeIsReadByTwoFamilies() {
        let types = ModelRegistry.architectures.flatMap { $0.modelTypes }
        let files = ModelRegistry.architectures.flatMap { $0.ggufArchitectures }
        #expect(Set(types).count == types.count && Set(files).count == files.count)
    }

    @Test func unknownTypesAreNamed() {
        let model = #expect(throws: ModelError.self) { try ModelRegistry.architecture(modelType: "mamba", place: "P") }
        let file = #expect(throws: ModelError.self) { try ModelRegistry.architecture(gguf: "rwkv", place: "P") }
        #expect("\(model!)".contains("mamba") && "\(model!)".contains("llama") && "\(file!)".contains("rwkv"))
    }
}
