import Foundation
import Testing

/// The program as a stranger runs it: a process with arguments, two streams and an exit code.
enum Program {
    struct Result {
        let status: Int32
        let wasKilled: Bool
        let output: String
        let errors: String

        /// Standard output as one JSON object; empty if it is none.
        var json: [String: Any] { Program.object(output) }
        /// The last line of standard output as one JSON object.
        var lastLine: [String: Any] { Program.object(output.split(separator: "\n").last.map(String.init) ?? "") }
        /// The message of a JSON error on standard error, which notes may come before.
        var message: String {
            let line = errors.split(separator: "\n").last.map(String.init) ?? ""
            return (Program.object(line)["error"] as? [String: Any])?["message"] as? String ?? ""
        }
    }

    private static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    static let fixtures = root.appendingPathComponent("Tests/MartletTests/Fixtures/cli")
    static let llama = fixtures.appendingPathComponent("llama").path
    static let gguf = fixtures.appendingPathComponent("llama-mixed.gguf").path
    static let adapter = fixtures.appendingPathComponent("llama-adapter").path
    static let tokens = fixtures.appendingPathComponent("tokens.jsonl").path

    /// Beside the test bundle; else where a release build puts it.
    static let executable: URL = {
        let beside = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
        let places = [beside.path, root.path + "/.build/release", root.path + "/.build/debug"].map { $0 + "/martlet" }
        return URL(fileURLWithPath: places.first(where: FileManager.default.isExecutableFile) ?? "martlet")
    }()

    /// The sanitizer that everything was built with, as Tests/Scripts/sanitizers.sh says.
    static let sanitizer = ProcessInfo.processInfo.environment["MARTLET_SANITIZER"]
    /// Whether the program runs where files may not grow: ThreadSanitizer keeps a large one itself.
    static let mayLimitFiles = sanitizer != "thread"

    static func object(_ text: String) -> [String: Any] {
        (try? JSONSerialization.jsonObject(with: Data(text.utf8))) as? [String: Any] ?? [:]
    }

    static func eval(_ model: String, _ rest: String..., data: String = tokens) throws -> Result {
        try run(["eval", "--model", model, "--data", data, "--json", "--precision", "float32", "--threads", "1"] + rest)
    }

    static func run(_ arguments: [String], in folder: Scratch? = nil) throws -> Result {
        try finish(start(executable, arguments, in: folder))
    }

    /// A line for bash, in which `$M` is the program.
    static func shell(_ line: String, in folder: Scratch? = nil) throws -> Result {
        try finish(start(URL(fileURLWithPath: "/bin/bash"), ["-c", line], in: folder))
    }

    struct Running {
        let process: Process
        let streams: Scratch
    }

    static func start(_ program: URL, _ arguments: [String], in folder: Scratch? = nil) throws -> Running {
        let streams = try Scratch()
        let process = Process()
        process.executableURL = program
        process.arguments = arguments
        process.currentDirectoryURL = (folder ?? streams).url
        process.environment = ProcessInfo.processInfo.environment.merging([
            "SWIFT_BACKTRACE": "enable=no", "M": executable.path, "TERM": "dumb",
            "XDG_CACHE_HOME": (folder ?? streams).path("cache"),
        ]) { $1 }
        process.standardInput = FileHandle.nullDevice
        // Files instead of pipes: nothing to drain, nothing to block on.
        process.standardOutput = try FileHandle(forWritingTo: streams.write("", to: "out"))
        process.standardError = try FileHandle(forWritingTo: streams.write("", to: "err"))
        // Threads of the test runner block signals and a child inherits that, unlike from a shell. SIGTERM stays blocked,
        // so that one of the stop signals is tested in that state too.
        var (signals, before) = (sigset_t(), sigset_t())
        sigemptyset(&signals)
        for number in [SIGINT, SIGXFSZ] { sigaddset(&signals, number) }
        pthread_sigmask(SIG_UNBLOCK, &signals, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        try process.run()
        return Running(process: process, streams: streams)
    }

    static func finish(_ running: Running) throws -> Result {
        running.process.waitUntilExit()
        return Result(
            status: running.process.terminationStatus, wasKilled: running.process.terminationReason == .uncaughtSignal,
            output: try running.streams.read("out"), errors: try running.streams.read("err"))
    }
}

/// A folder of its own for one test, deleted with the value.
final class Scratch: Sendable {
    let url: URL

    init() throws {
        url = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-tests-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: url) }

    func path(_ name: String) -> String { url.appendingPathComponent(name).path }
    func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: path(name)) }
    func read(_ name: String) throws -> String { String(decoding: try data(name), as: UTF8.self) }
    func data(_ name: String) throws -> Data { try Data(contentsOf: url.appendingPathComponent(name)) }
    func remove(_ name: String) throws { try FileManager.default.removeItem(atPath: path(name)) }

    @discardableResult
    func write(_ text: String, to name: String) throws -> URL { try write(Data(text.utf8), to: name) }

    @discardableResult
    func write(_ data: Data, to name: String) throws -> URL {
        let place = url.appendingPathComponent(name)
        try data.write(to: place)
        return place
    }

    /// A copy of a fixture that may be changed.
    func copy(_ source: String, as name: String) throws {
        try FileManager.default.copyItem(atPath: source, toPath: path(name))
    }

    func replace(_ old: String, with new: String, in name: String) throws {
        var bytes = try data(name)
        let range = try #require(bytes.range(of: Data(old.utf8)), "\(name) does not hold \(old)")
        bytes.replaceSubrange(range, with: Data(new.utf8))
        try write(bytes, to: name)
    }

    func truncate(_ name: String, to count: Int) throws { try write(try data(name).prefix(count), to: name) }

    /// Everything in the folder and below, by relative path, hidden files too.
    func files() -> [String] {
        (FileManager.default.enumerator(atPath: url.path)?.allObjects as? [String] ?? []).sorted()
    }

    /// A recipe that trains the tiny model on tokens.
    func writeRecipe(_ changes: [String: String] = [:]) throws {
        var text = """
            model:
              path: \(Program.llama)
            adapter:
              rank: 2
              alpha: 4
            data:
              train:
                - path: \(Program.tokens)
              max_length: 64
            training:
              steps: 3
              micro_batch_size: 1
              learning_rate: 1e-3
              precision: float32
              threads: 1
            output:
              directory: run

            """
        for (old, new) in changes {
            #expect(text.contains(old))
            text = text.replacingOccurrences(of: old, with: new)
        }
        try write(text, to: "recipe.yaml")
    }
}
