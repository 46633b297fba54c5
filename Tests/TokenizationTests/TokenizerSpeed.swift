import Foundation
import Testing
import Tokenization

/// Measures megabytes per second of processor time, on request only: `MARTLET_SPEED` is a folder with tokenizer.json, `MARTLET_SPEED_TEXT` a text file.
@Suite struct TokenizerSpeed {
    static let environment = ProcessInfo.processInfo.environment

    /// Time of one core that this process has used, which other processes do not change much.
    static var processorSeconds: Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    @Test(.enabled(if: environment["MARTLET_SPEED"] != nil)) func measure() throws {
        let folder = URL(filePath: try #require(Self.environment["MARTLET_SPEED"]))
        let data = try Data(contentsOf: URL(filePath: try #require(Self.environment["MARTLET_SPEED_TEXT"])))
        let clock = ContinuousClock()
        let start = clock.now
        let tokenizer = try Tokenizer(
            tokenizerJSON: JSONValue(parsing: Data(contentsOf: folder.appending(path: "tokenizer.json"))),
            configuration: nil)
        var report = "speed \(folder.lastPathComponent): read in \(clock.now - start)"
        let text = String(decoding: data, as: UTF8.self)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: true).map { String($0) }
        let long = String(text.filter { !$0.isWhitespace }.prefix(2_000_000))
        func time(_ name: String, _ texts: [String], offsets: Bool = false) {
            var tokens = 0
            let start = Self.processorSeconds
            do {
                for text in texts {
                    tokens += offsets ? tokenizer.encodeWithOffsets(text).ids.count : tokenizer.encode(text).count
                }
            }
            let bytes = texts.reduce(0) { $0 + $1.utf8.count }
            let speed = Double(bytes) / 1e6 / (Self.processorSeconds - start)
            report += String(format: "; %@ %.1f MB/s (%d tokens)", name, speed, tokens)
        }
        time("lines", lines)
        time("whole", [text])
        time("lines with offsets", lines, offsets: true)
        time("2 MB without spaces", [long])
        print(report + "; peak \(Fuzzing.peakMegabytes) MB")
    }
}
