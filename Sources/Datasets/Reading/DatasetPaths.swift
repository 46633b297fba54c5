import Foundation

/// The files that a path of a recipe stands for.
enum DatasetPaths {
    /// A file is itself, a folder all data files in and below it, and a pattern with `*`, `?` or `[…]` what it matches;
    /// sorted by their bytes, so that the order is the same everywhere.
    static func files(at path: String) throws(DatasetProblem) -> [String] {
        var isFolder: ObjCBool = false
        if FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) {
            return isFolder.boolValue ? try files(inFolder: path) : [path]
        }
        let matches = isPattern(path) ? matches(of: path) : []
        if matches.isEmpty { throw DatasetProblem(.missing, file: path) }
        var files: [String] = []
        for match in matches {
            let exists = FileManager.default.fileExists(atPath: match, isDirectory: &isFolder)
            files += exists && isFolder.boolValue ? try self.files(inFolder: match) : [match]
        }
        return files
    }

    private static func isPattern(_ path: String) -> Bool { path.contains { "*?[".contains($0) } }

    private static func matches(of pattern: String) -> [String] {
        var found = glob_t()
        defer { globfree(&found) }
        guard glob(pattern, GLOB_NOSORT, nil, &found) == 0 else { return [] }
        return sorted((0..<Int(found.gl_pathc)).compactMap { found.gl_pathv[$0].map { String(cString: $0) } })
    }

    private static func files(inFolder path: String) throws(DatasetProblem) -> [String] {
        guard let entries = FileManager.default.enumerator(atPath: path) else {
            throw DatasetProblem(.unreadable(reason: "the folder cannot be opened"), file: path)
        }
        var files: [String] = []
        while let entry = entries.nextObject() as? String {
            let isHidden = entry.split(separator: "/").contains { $0.hasPrefix(".") }
            guard !isHidden, Container.isData((entry as NSString).lastPathComponent) else { continue }
            let place = (path as NSString).appendingPathComponent(entry)
            // A pipe that lies there would keep the reader waiting for ever.
            var status = stat()
            if stat(place, &status) == 0, status.st_mode & S_IFMT == S_IFREG { files.append(place) }
        }
        if files.isEmpty { throw DatasetProblem(.noDataFiles, file: path) }
        return sorted(files)
    }

    private static func sorted(_ paths: [String]) -> [String] {
        paths.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }
}
