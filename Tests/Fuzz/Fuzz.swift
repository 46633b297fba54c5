import Foundation

/// libFuzzer's own driver: reads the arguments of the command line and hands over one input after the other.
@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
    _ count: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ read: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

/// Feeds a reader of files; `MARTLET_FUZZ` names it. Tests/Scripts/fuzz.sh builds and runs this.
///
/// A reader may refuse an input with an error, nothing else: a trap, a hang, a huge allocation and (with the address
/// sanitizer) a read outside of the input are findings.
@main struct Driver {
    static func main() {
        var (count, arguments) = (CommandLine.argc, CommandLine.unsafeArgv)
        exit(runDriver(&count, &arguments) { bytes, count in
            FuzzTarget.chosen.read(bytes.map { Data(bytes: $0, count: count) } ?? Data())
            return 0
        })
    }
}

/// What can be fed.
enum FuzzTarget: String, CaseIterable {
    case json, tokenizer, template, safetensors, shards, gguf, recipe, table, lines, packed, bitsandbytes, manifest
    case checkpoint, adapter

    static let chosen: FuzzTarget = {
        let name = ProcessInfo.processInfo.environment["MARTLET_FUZZ"] ?? ""
        guard let target = FuzzTarget(rawValue: name) else {
            fatalError("MARTLET_FUZZ must be one of \(allCases.map(\.rawValue).joined(separator: ", ")), not \(name)")
        }
        return target
    }()

    func read(_ input: Data) {
        switch self {
        case .json: FuzzText.json(input)
        case .tokenizer: FuzzText.tokenizer(input)
        case .template: FuzzText.template(input)
        case .recipe: FuzzText.recipe(input)
        case .safetensors: FuzzWeights.safetensors(input)
        case .shards: FuzzWeights.shards(input)
        case .gguf: FuzzWeights.gguf(input)
        case .bitsandbytes: FuzzWeights.bitsandbytes(input)
        case .manifest: FuzzWeights.manifest(input)
        case .adapter: FuzzWeights.adapter(input)
        case .table: FuzzData.table(input)
        case .lines: FuzzData.lines(input)
        case .packed: FuzzData.packed(input)
        case .checkpoint: FuzzData.checkpoint(input)
        }
    }
}

/// Says that something must hold, also in an optimised build.
func require(_ condition: Bool, _ what: String) {
    if !condition { fatalError("broken promise: \(what)") }
}

/// A folder in memory for readers that need files; one for the process.
enum FuzzFolder {
    static let url: URL = {
        let url = URL(fileURLWithPath: "/dev/shm/martlet-fuzz-\(getpid())", isDirectory: true)
        try? FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        atexit { try? FileManager.default.removeItem(at: FuzzFolder.url) }
        return url
    }()

    /// Writes a file and returns its place.
    static func write(_ data: Data, _ name: String) -> URL {
        let place = url.appendingPathComponent(name)
        let descriptor = open(place.path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        require(descriptor >= 0, "a file can be made in \(url.path)")
        defer { close(descriptor) }
        data.withUnsafeBytes { require(Foundation.write(descriptor, $0.baseAddress, $0.count) == $0.count, "it can be written") }
        return place
    }

    /// Puts a copy of a fixture beside the file that is fuzzed, once.
    static func add(_ fixture: String, as name: String) {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        let place = url.appendingPathComponent(name)
        guard !FileManager.default.fileExists(atPath: place.path) else { return }
        try? FileManager.default.copyItem(at: root.appendingPathComponent(fixture), to: place)
    }
}
