import ArgumentParser
import Foundation
import Recipes
import TensorCore

@main
struct Martlet: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "martlet",
        abstract: "Fine-tunes language models on this machine: no GPU, no Python, nothing leaves it.",
        discussion: """
            A typical session:
              martlet preview recipes/quickstart.yaml    what the model sees of the data
              martlet train recipes/quickstart.yaml      train adapters
              martlet generate --model M --adapter RUN/adapter --prompt "…"
              martlet merge --model M --adapter RUN/adapter --output DIR

            Results go to standard output, progress and notes to standard error.
            Exit codes: 0 done; 64 wrong command line or recipe; 65 unsuitable or damaged data, model or checkpoint; \
            66 missing input; 69 the machine cannot do it; 70 our own fault; 73/74 output cannot be written; \
            75 stopped on request with a checkpoint; 76 training stopped by its own guard.
            """,
        version: ProgramVersion.current,
        subcommands: [
            Train.self, Preview.self, Eval.self, Generate.self, Merge.self, Tokenize.self, Render.self, Inspect.self,
            Doctor.self, Bench.self, Quantize.self, Cache.self, Plan.self,
        ])

    /// How the parser begins its errors, like all others.
    static let _errorPrefix = "error: "

    static func main() {
        Terminal.occupyClosedStreams()
        // A file that hits the size limit is then an error like a full disk, with a sentence, instead of sudden death.
        signal(SIGXFSZ, SIG_IGN)
        MappedFile.answerLostPages(exitStatus: ExitStatus.inputOutput.rawValue)
        let asJSON = CommandLine.arguments.contains("--json")
        MemoryRefusal.answer { Failure.exit(with: CommandError(.unavailable, $0), asJSON: asJSON) }
        do {
            try refuseUnknownCommand(CommandLine.arguments.dropFirst().first)
            try refuseEmptyPaths(CommandLine.arguments)
            var command = try parseAsRoot()
            try command.run()
        } catch {
            Failure.exit(with: error, asJSON: asJSON)
        }
    }

    /// Refuses options for paths that are given nothing, as by a shell's variable that is not set: it would be taken for
    /// the folder that the command runs in.
    private static func refuseEmptyPaths(_ arguments: [String]) throws {
        let options = ["--model", "--adapter", "--output", "--base", "--cache", "--resume", "--data", "--job", "--tokens-file"]
        let pairs = zip(arguments, arguments.dropFirst()).filter { $1.isEmpty }.map(\.0)
        let empty = pairs.first(where: options.contains) ?? options.first { arguments.contains($0 + "=") }
        if let empty { throw CommandError(.usage, "\(empty) is empty, expected the path of a file or folder") }
    }

    /// Refuses a first word that is no command, which the parser would call an unexpected argument.
    private static func refuseUnknownCommand(_ word: String?) throws {
        let commands = configuration.subcommands.map { "\($0)".lowercased() } + ["help"]
        guard let word, !word.hasPrefix("-"), !commands.contains(word) else { return }
        let hint = nearest(to: word, in: commands).map { "did you mean \($0)?" } ?? "martlet --help lists the commands"
        throw CommandError(.usage, "there is no command \(word); \(hint)")
    }
}
