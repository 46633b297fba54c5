import ArgumentParser
import Datasets
import Foundation
import Recipes
import Tokenization

struct Cache: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lists or deletes what is kept: packed base models and tokenised data.",
        discussion: "Training with model.quantization: nf4 packs a base once and keeps the copy; data that stream from disk are tokenised once. Deleting either costs the time to make it again.",
        subcommands: [List.self, Prune.self], defaultSubcommand: List.self)

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Lists packed base models and tokenised data, the oldest first.")

        @OptionGroup var cache: CacheOptions

        @Flag(help: "Print one JSON object.")
        var json = false

        func run() throws {
            cache.recover()
            let (data, entries) = (cache.data.entries(), cache.packedModels.entries())
            let folder = cache.packedModels.folder.path
            if json {
                return Terminal.output([
                    "folder": .string(folder),
                    "models": .array(entries.map(Cache.object)), "data": .array(data.map(Cache.object)),
                ])
            }
            for entry in entries { Terminal.output(Cache.line(entry)) }
            for entry in data { Terminal.output(Cache.line(entry)) }
            let (models, sources) = (entries.count.counted("packed model"), data.count.counted("source"))
            Terminal.note("\(models) and \(sources) of data in \(folder)")
        }
    }

    struct Prune: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Deletes packed base models and tokenised data.", discussion: "Runs that use one at the moment keep it until they end.")

        @Option(
            name: .customLong("older-than-days"), parsing: .unconditional,
            help: "Delete only those made more than this many days ago.")
        var days = 0

        @OptionGroup var cache: CacheOptions

        @Flag(help: "Print one JSON object.")
        var json = false

        func validate() throws {
            if days < 0 { throw ValidationError("--older-than-days is \(days), expected 0 or more") }
        }

        func run() throws {
            cache.recover()
            let (models, data) = (cache.packedModels, cache.data)
            let limit = Date(timeIntervalSinceNow: -86_400 * Double(days))
            let doomed = models.entries().filter { $0.made <= limit }
            try models.remove(doomed)
            if !json { for entry in doomed { Terminal.output("deleted " + Cache.line(entry)) } }
            let doomedData = data.entries().filter { $0.made <= limit }
            try data.remove(doomedData)
            if json {
                return Terminal.output([
                    "folder": .string(models.folder.path), "deleted_models": .array(doomed.map(Cache.object)),
                    "deleted_data": .array(doomedData.map(Cache.object)),
                ])
            }
            for entry in doomedData { Terminal.output("deleted " + Cache.line(entry)) }
        }
    }

    private static func object(_ entry: PackedCache.Entry) -> JSONValue {
        .object([
            "digest": .string(entry.digest), "source": entry.source.map { .string($0) } ?? .null,
            "bytes": .integer(entry.bytes), "made": .string(entry.made.formatted(.iso8601)),
        ])
    }

    private static func object(_ entry: DataCache.Entry) -> JSONValue {
        .object([
            "kind": .string(entry.kind.rawValue), "digest": .string(entry.digest), "bytes": .integer(entry.bytes),
            "made": .string(entry.made.formatted(.iso8601)),
        ])
    }

    private static func line(_ entry: PackedCache.Entry) -> String {
        line("model", entry.digest, entry.bytes, entry.made) + (entry.source.map { "  " + $0 } ?? "")
    }

    private static func line(_ entry: DataCache.Entry) -> String {
        line(entry.kind == .tokens ? "tokens" : "index", entry.digest, entry.bytes, entry.made)
    }

    private static func line(_ kind: String, _ digest: String, _ bytes: Int, _ made: Date) -> String {
        let size = MemoryPlan.inWords(bytes)
        let space = String(repeating: " ", count: max(1, 19 - kind.count - size.count))
        return "\(digest.prefix(16))  \(kind)\(space)\(size)  \(made.formatted(.iso8601))"
    }
}
