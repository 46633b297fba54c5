import Autograd
import Foundation
import Layers
import Models
import Recipes
import TensorCore
import Testing

/// The program that shows the library stands in the README, is built with the package and does what it says.
@Suite struct LibraryExampleTests {
    private let model = Repository.root.appendingPathComponent("Tests/MartletTests/Fixtures/llama").path

    @Test func trainsAndSavesAnAdapterThatCanBeReadBack() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-" + UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let texts = folder.appendingPathComponent("texts.txt")
        let adapter = folder.appendingPathComponent("adapter")
        try "A martlet never lands.\nIt sleeps on the wing.\n".write(to: texts, atomically: true, encoding: .utf8)

        let run = try runExample([model, texts.path, adapter.path])
        #expect(run.status == 0)
        let losses = run.output.split(separator: "\n").compactMap { Double($0.split(separator: " ").last ?? "") }
        try #require(losses.count == 10, "\(run.output)")
        #expect(losses[9] < losses[0] - 0.05, "\(losses)")

        let compute = try Compute()
        let saved = try AdapterFolder(adapter, on: compute)
        #expect(saved.baseModel == "llama")
        let attached = try saved.attach(to: try BaseModel.open(model).makeModel(on: compute).linears)
        #expect(attached.configuration.rank == 8 && attached.configuration.alpha == 16)
        #expect(attached.layers.count == 3 * 7)
        for parameter in attached.parameters {
            #expect(parameter.value.toArray().contains { $0 != 0 }, "\(parameter.name) was not trained")
        }
    }

    @Test func standsInTheReadmeAsItIsBuilt() throws {
        let source = try Repository.text("Tests/LibraryExample/main.swift")
        #expect(source.count(where: { $0 == "\n" }) <= 40)
        #expect(try Repository.codeBlocksInReadme("swift").contains(source))
    }

    /// Runs the example, which the build put beside the program that runs the tests.
    private func runExample(_ arguments: [String]) throws -> (status: Int32, output: String) {
        let running = URL(fileURLWithPath: try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"))
        let process = Process()
        process.executableURL = running.deletingLastPathComponent().appendingPathComponent("LibraryExample")
        process.arguments = arguments
        process.standardInput = FileHandle.nullDevice
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return (process.terminationStatus, text)
    }
}
