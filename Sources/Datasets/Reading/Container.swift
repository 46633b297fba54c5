import Foundation

/// In which shape a file holds its records.
enum Container: Sendable, Equatable {
    /// JSON lines, or one JSON array.
    case json
    /// Rows of cells under a header.
    case table(separator: UInt8)
    /// A text a line.
    case text

    /// The endings of files that a folder is searched for.
    static let endings = ["jsonl", "ndjson", "json", "csv", "tsv", "txt"]
    private static let packed = ["gz", "zst", "zstd"]

    /// Decides by the name, without the ending of a packer; a text that starts like JSON is JSON.
    /// - Parameter start: The first bytes of the file.
    init(path: String, start: UnsafeBufferPointer<UInt8>) {
        switch Self.ending(of: path) {
        case "csv": self = .table(separator: Self.separator(start))
        case "tsv", "tab": self = .table(separator: UInt8(ascii: "\t"))
        case "txt", "text", "md": self = Self.looksLikeJSON(start) ? .json : .text
        default: self = .json
        }
    }

    /// Whether a file of a folder belongs to the data.
    static func isData(_ name: String) -> Bool { !name.hasPrefix(".") && endings.contains(ending(of: name)) }

    private static func ending(of path: String) -> String {
        var url = URL(fileURLWithPath: path)
        if packed.contains(url.pathExtension.lowercased()) { url.deletePathExtension() }
        return url.pathExtension.lowercased()
    }

    /// Spreadsheets of many languages separate by semicolons.
    private static func separator(_ start: UnsafeBufferPointer<UInt8>) -> UInt8 {
        let header = start.prefix { $0 != newline }
        return !header.contains(UInt8(ascii: ",")) && header.contains(UInt8(ascii: ";"))
            ? UInt8(ascii: ";") : UInt8(ascii: ",")
    }

    private static func looksLikeJSON(_ start: UnsafeBufferPointer<UInt8>) -> Bool {
        let rest = start.drop { isWhitespace($0) || [0xEF, 0xBB, 0xBF].contains($0) }
        guard let first = rest.first, first == UInt8(ascii: "{") || first == UInt8(ascii: "[") else { return false }
        let second = rest.dropFirst().first { !isWhitespace($0) }
        return second == UInt8(ascii: first == UInt8(ascii: "{") ? "\"" : "{")
    }
}
