import Foundation
import Recipes
import Training

/// Checks before a command replaces a folder, and what goes on while it writes.
enum OutputPlace {
    /// Refuses a folder for a model that holds what the command reads, that holds anything but a model, or that would be
    /// replaced unasked.
    static func checkModelFolder(_ output: String, overwrite: Bool, reading inputs: [(option: String, path: String?)]) throws {
        let place = URL(fileURLWithPath: output, isDirectory: true)
        try refuseInputs(in: place, called: output, inputs, choosing: "--output")
        if let reason = BaseModel.reasonToKeep(place) {
            throw CommandError(.cannotCreate, "\(output) exists already and \(reason), so it is left alone; choose another --output")
        }
        if !overwrite && FileManager.default.fileExists(atPath: place.path) {
            throw CommandError(.cannotCreate, "\(output) exists already; choose another folder, or replace it with --overwrite")
        }
    }

    /// Refuses a folder for a run that holds what the run reads, that holds anything but a run, or that would be replaced
    /// unasked.
    static func checkRunFolder(of recipe: Recipe, overwrite: Bool) throws {
        let place = URL(fileURLWithPath: recipe.output.directory, isDirectory: true)
        try RunFolder.requireFree(place, overwrite: overwrite)
        let data = [("data.train", recipe.data.train), ("data.validation", recipe.data.validation)]
        let inputs = [("model.path", recipe.model.path), ("adapter.path", recipe.adapter.path)]
            + data.flatMap { key, sources in sources.map { (key, Optional($0.path)) } }
        try refuseInputs(in: place, called: recipe.output.directory, inputs, choosing: "output.directory")
    }

    /// From now on a signal ends the writing of a model, which leaves nothing then; shows how many tensors are written.
    static func progress(to output: String) -> (_ done: Int, _ of: Int) throws -> Void {
        StopSignals.install()
        return { done, all in
            if StopSignals.received { throw CommandError(.stopped, "stopped on request; \(output) was not written") }
            if Terminal.isInteractive { Terminal.rewriteLine(done < all ? "tensor \(done) of \(all)" : "") }
        }
    }

    /// Refuses a folder that is, or holds, something the command reads.
    /// - Parameters:
    ///   - inputs: paths with the options or keys that they were given for.
    ///   - option: what to choose otherwise.
    private static func refuseInputs(
        in place: URL, called name: String, _ inputs: [(option: String, path: String?)], choosing option: String
    ) throws {
        // Resolved as it will be replaced: with ".." taken out first.
        guard let folder = resolved(place.standardizedFileURL.path) else { return }
        // Replaced, it would be another folder than the one that this and the caller's shell are in.
        if let here = resolved("."), (here + "/").hasPrefix(folder + "/") {
            throw CommandError(.cannotCreate, "\(name) is or holds the folder that the command runs in, which would be replaced; choose another \(option)")
        }
        for case let (input, path?) in inputs where files(of: path).contains(where: { ($0 + "/").hasPrefix(folder + "/") }) {
            throw CommandError(.cannotCreate, "\(name) is or holds what \(input) reads, so it is left alone; choose another \(option)")
        }
    }

    /// A file or folder and what is in the folder, without symbolic links: a model's files may lead elsewhere.
    private static func files(of path: String) -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        return ([path] + names.map { "\(path)/\($0)" }).compactMap(resolved)
    }

    /// The path without symbolic links; `nil` if nothing is there.
    private static func resolved(_ path: String) -> String? {
        guard let real = realpath(path, nil) else { return nil }
        defer { free(real) }
        return String(cString: real)
    }
}
