import Checkpoints
import Crypto
import Foundation

/// Which files a base model is made of, and what tells them from others: by the look of them (device, inode, size,
/// time of change), which is quick, or by their contents.
struct SourceIdentity {
    private let files: [(name: String, url: URL)]

    /// The files of a Hugging Face folder that decide the model, or a single file.
    init(_ path: String) {
        let url = URL(fileURLWithPath: path).resolvingSymlinksInPath()
        let names = (try? FileManager.default.contentsOfDirectory(atPath: url.path)) ?? []
        if names.isEmpty {
            files = [("model", url)]
        } else {
            let endings = ["json", "safetensors", "jinja", "txt", "model"]
            files = names.filter { endings.contains(($0 as NSString).pathExtension) && $0 != PackedManifest.fileName }.sorted()
                .map { ($0, url.appendingPathComponent($0)) }
        }
    }

    /// A digest of how the files look from outside.
    func appearance() -> FileDigest {
        let lines = files.map { name, url in
            var status = stat()
            guard stat(url.path, &status) == 0 else { return "\(name) missing" }
            let changed = status.st_mtim
            return "\(name) \(status.st_dev) \(status.st_ino) \(status.st_size) \(changed.tv_sec).\(changed.tv_nsec)"
        }
        return FileDigest.sha256(of: Data(lines.joined(separator: "\n").utf8))
    }

    /// A digest of the files' contents; reads all of them.
    func contents() throws(CheckpointError) -> FileDigest {
        var lines: [String] = []
        for (name, url) in files { lines.append("\(name) \(try FileDigest.sha256(of: url).hex)") }
        return FileDigest.sha256(of: Data(lines.joined(separator: "\n").utf8))
    }
}
