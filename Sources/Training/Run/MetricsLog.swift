import Checkpoints
import Foundation
import TensorCore

/// `metrics.jsonl`: one JSON object a line, appended as the run goes.
final class MetricsLog {
    private let handle: FileHandle
    private let path: String

    /// Opens the log and cuts off what was written after `step`, so that a resumed run reads as if it had never stopped.
    /// - Parameter fromStart: whether the run begins with step 0 again, evaluation included.
    init(_ url: URL, resumingAt step: Int, fromStart: Bool) throws {
        path = url.path
        let old = (try? Data(contentsOf: url)) ?? Data()
        let kept = old.split(separator: UInt8(ascii: "\n")).filter { line in
            guard !fromStart, let object = try? JSONSerialization.jsonObject(with: line) as? [String: Any],
                let logged = object["step"] as? Int
            else { return false }
            return logged <= step
        }
        try AtomicFile.write(Data(kept.flatMap { $0 + [UInt8(ascii: "\n")] }), to: url)
        handle = try Self.reporting("open", path) {
            let handle = try FileHandle(forWritingTo: url)
            try handle.seekToEnd()
            return handle
        }
    }

    /// Appends a line. Numbers that are not finite are left out, and so are experts where there are none and tables without
    /// rows.
    func append(
        _ values: [String: Double], integers: [String: Int], experts: ExpertUsage = ExpertUsage(),
        tables: [String: [String: Double]] = [:], texts: [String: String] = [:]
    ) throws {
        var object: [String: Any] = integers
        if !experts.isEmpty {
            object["expert_layers"] = experts.layers
            object["expert_tokens"] = experts.tokens
            object["routing_entropy"] = experts.entropies
        }
        for (key, value) in values where value.isFinite { object[key] = value }
        for (key, text) in texts { object[key] = text }
        for (key, table) in tables where !table.isEmpty { object[key] = table.filter { $0.value.isFinite } }
        var line = try JSONSerialization.data(withJSONObject: object, options: [.sortedKeys])
        line.append(UInt8(ascii: "\n"))
        try Self.reporting("write to", path) { try handle.write(contentsOf: line) }
    }

    /// Foundation's errors name neither the file nor, always, the reason.
    private static func reporting<Result>(
        _ action: String, _ path: String, _ body: () throws -> Result
    ) throws -> Result {
        do { return try body() } catch {
            let underlying = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError ?? error as NSError
            let code = underlying.domain == NSPOSIXErrorDomain ? Int32(underlying.code) : EIO
            throw FileError(action: action, path: path, code: code)
        }
    }
}
