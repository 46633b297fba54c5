import ArgumentParser
import Foundation
import Recipes
import Tokenization

struct Cache: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lists or deletes packed base models.",
        discussion: "Training with model.quantization: nf4 packs a base once and keeps the copy. Deleting it costs the time to pack again.",
        subcommands: [List.self, Prune.self], defaultSubcommand: List.self)

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Lists packed base models, the oldest first.")

        @OptionGroup var cache: CacheOptions

        @Flag(help: "Print one JSON object.")
        var json = false

        func run() throws {
            let (cache, entries) = (cache.packedModels, cache.packedModels.entries())
            if json {
                return Terminal.output([
                    "folder": .string(cache.folder.path),
                    "models": .array(entries.map {
                        .object([
                            "digest": .string($0.digest), "bytes": .integer($0.bytes),
                            "made": .string($0.made.formatted(.iso8601)),
                        ])
                    }),
                ])
            }
            for entry in entries { Terminal.output(Cache.line(entry)) }
            Terminal.note("\(entries.count) packed models in \(cache.folder.path)")
        }
    }

    struct Prune: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Deletes packed base models.", discussion: "Runs that use one at the moment keep it until they end.")

        @Option(name: .customLong("older-than-days"), help: "Delete only those made more than this many days ago.")
        var days = 0

        @OptionGroup var cache: CacheOptions

        func validate() throws {
            if days < 0 { throw ValidationError("--older-than-days is \(days), expected 0 or more") }
        }

        func run() throws {
            let cache = cache.packedModels
            let limit = Date(timeIntervalSinceNow: -86_400 * Double(days))
            let doomed = cache.entries().filter { $0.made <= limit }
            try cache.remove(doomed)
            for entry in doomed { Terminal.output("deleted " + Cache.line(entry)) }
        }
    }

    private static func line(_ entry: PackedCache.Entry) -> String {
        String(format: "%@  %8.1f MB  %@", entry.digest.prefix(16) as NSString as String, Double(entry.bytes) / 1e6, entry.made.formatted(.iso8601))
    }
}
