import Checkpoints
import Crypto
import Datasets
import Foundation
import Layers
import Models
import TensorCore
package import Training

/// What has changed since a checkpoint was written, and what that means.
package struct ResumeCheck {
    package let changes: [RunChange]

    /// Settings that decide no result.
    private static let harmless: Set<String> = [
        "model.path", "adapter.path", "data.train[].path", "data.train[].format", "data.train[].fields",
        "data.validation[].path", "data.validation[].format", "data.validation[].fields", "training.recompute",
        "training.threads", "training.log_every_steps", "evaluation.at_start", "checkpoint.every_steps",
        "checkpoint.keep", "output.save",
    ]
    /// Settings that a checkpoint's tensors have been made for.
    private static let fixed: Set<String> = [
        "adapter.method", "adapter.rank", "adapter.target_modules", "adapter.target_parameters",
        "adapter.exclude_modules", "adapter.init", "training.optimizer",
    ]

    /// Compares a run with the checkpoint it is to go on from.
    package init(_ recipe: Recipe, _ now: RunIdentity, since earlier: RunIdentity) {
        var changes: [RunChange] = []
        func compare(_ key: String, _ then: String, _ now: String, _ effect: RunChange.Effect) {
            if then != now { changes.append(RunChange(key: key, earlier: then, now: now, effect: effect)) }
        }
        compare("network", earlier.network, now.network, .impossible)
        compare("base", Self.short(earlier.base), Self.short(now.base), .otherResult)
        compare("tokenizer", Self.short(earlier.tokenizer), Self.short(now.tokenizer), .otherResult)
        compare("data", Self.short(earlier.data), Self.short(now.data), .otherResult)
        compare("data.validation", Self.short(earlier.validation), Self.short(now.validation), .otherResult)
        compare("version", earlier.version, now.version, .otherResult)
        let written = Dictionary(recipe.settings.map { ($0.key, $0.text) }) { first, _ in first }
        let defaults = recipe.withDefaults.identitySettings.filter { !Recipe.pattern(of: $0.key).contains("[]") }
        for key in Set(earlier.settings.keys).union(now.settings.keys).sorted() {
            // A key that the earlier version did not have yet stood at its default.
            let (then, value) = (earlier.settings[key] ?? defaults[key], now.settings[key])
            if then == value { continue }
            let isPath = Recipe.isPath(key)
            changes.append(
                RunChange(
                    key: key, earlier: then.map { isPath && $0 != "null" ? "another path" : $0 } ?? "not set",
                    now: written[key] ?? "not set", effect: Self.effect(of: key, then, value)))
        }
        self.changes = changes
    }

    private static func effect(of key: String, _ then: String?, _ now: String?) -> RunChange.Effect {
        let pattern = Recipe.pattern(of: key)
        // An adapter to start from brings its own rank and targets.
        if pattern == "adapter.path", then == "null" || now == "null" { return .impossible }
        if fixed.contains(pattern) { return .impossible }
        return harmless.contains(pattern) ? .none : .otherResult
    }

    /// Enough of a digest to tell two apart.
    private static func short(_ digest: String) -> String { digest.isEmpty ? "none" : String(digest.prefix(12)) }

    /// Refuses what cannot be or was not asked for; everything else is told.
    /// - Parameter allowed: keys whose change is meant.
    func approve(_ allowed: Set<String>, run: String, note: (String) -> Void) throws(TrainingError) {
        let impossible = changes.filter { $0.effect == .impossible }
        if !impossible.isEmpty { throw .cannotResume(impossible, run: run) }
        let unasked = changes.filter { $0.effect == .otherResult && !allowed.contains($0.key) }
        if !unasked.isEmpty { throw .changed(unasked, run: run) }
        for change in changes {
            note(
                "\(change.key) was \(change.earlier), now it is \(change.now)"
                    + (change.effect == .none
                        ? ", which changes no result"
                        : ", as --allow-change permits: the result is not that of a run without the change"))
        }
    }

    /// Whether the training data, or the way in which they are cut into steps, may be others.
    package var movesData: Bool {
        changes.contains { change in
            change.effect == .otherResult
                && (["data", "training.seed", "training.gradient_accumulation_steps"].contains(change.key)
                    || change.key.hasPrefix("data.") && !change.key.hasPrefix("data.validation")
                    || change.key.hasPrefix("training.micro_batch"))
        }
    }
}

extension Recipe {
    /// Every key with its value in one line, places in lists as numbers: `data.train.0.weight`. The folder of the run is
    /// not among them: it may lie anywhere.
    var settings: [(key: String, text: String)] {
        var settings: [(key: String, text: String)] = []
        func add(_ content: RecipeNode.Content, _ key: String) {
            switch content {
            case .mapping(let entries) where !entries.isEmpty && !key.hasSuffix("fields"):
                for entry in entries { add(entry.value.content, key.isEmpty ? entry.key : "\(key).\(entry.key)") }
            case .list(let items) where items.contains(where: \.isMapping):
                for (index, item) in items.enumerated() { add(item.content, "\(key).\(index)") }
            default: settings.append((key, RecipeText.inline(content)))
            }
        }
        add(.mapping(resolvedSections), "")
        return settings.filter { $0.key != "output.directory" }
    }

    /// The recipe for a run that goes on where it lies, wherever a file says that it began.
    /// - Parameters:
    ///   - directory: what the run's own recipe calls its folder.
    ///   - run: where it lies.
    /// - Throws: if an override asks for another folder.
    package func staying(in directory: String, of run: String) throws(RecipeError) -> Recipe {
        if places["output.directory"] == .commandLine, output.directory != directory {
            let problem = problem(
                with: "output.directory", "is \(output.directory), but a run is resumed where it lies, in \(run)",
                hint: "leave it out, or, to branch off, copy the folder of the run and resume the copy")
            throw RecipeError([problem])
        }
        var recipe = self
        recipe.output.directory = directory
        return recipe
    }

    /// The recipe with the same base, training files, output and adapter to start from, and defaults for the rest.
    fileprivate var withDefaults: Recipe {
        var plain = Recipe(model: Model(path: model.path), data: Data(train: data.train), output: output)
        plain.adapter.path = adapter.path
        return plain
    }

    /// The settings as a checkpoint keeps them: instead of paths digests.
    package var identitySettings: [String: String] {
        Dictionary(
            settings.map { key, text in
                let hides = Self.isPath(key) && text != "null"
                return (key, hides ? String(FileDigest.sha256(of: Foundation.Data(text.utf8)).hex.prefix(16)) : text)
            }, uniquingKeysWith: { first, _ in first })
    }

    /// Whether a key's value is a path.
    static func isPath(_ key: String) -> Bool { key.hasSuffix(".path") }

    /// A key with `[]` for places in a list, as the documentation names it.
    public static func pattern(of key: String) -> String {
        key.split(separator: ".").reduce(into: "") { text, part in
            text += part.allSatisfy(\.isNumber) ? "[]" : text.isEmpty ? String(part) : ".\(part)"
        }
    }
}

extension RunIdentity {
    /// What identifies a run.
    init(
        _ recipe: Recipe, _ base: BaseModel, _ model: any CausalLanguageModel, _ data: EncodedData, precision: String,
        instructionSet: String, openBLASCore: String
    ) throws {
        let weights = model.adapterTargets.reduce(0) { $0 + $1.weightCount }
        self.init(
            base: try base.fingerprint(), tokenizer: try base.tokenizerFingerprint(), data: data.fingerprint,
            validation: data.validationFingerprint,
            network: "\(base.modelType) of \(model.layerCount) layers, width \(model.head.columns), \(weights) weights in layers",
            settings: recipe.identitySettings, version: ProgramVersion.current, precision: precision,
            instructionSet: instructionSet, openBLASCore: openBLASCore)
    }
}

extension EncodedData {
    /// Digest of the validation tokens and labels; empty if there are none.
    fileprivate var validationFingerprint: String {
        if validation.isEmpty { return "" }
        var hash = SHA256()
        for dataset in validation { dataset.feedFingerprint { hash.update(bufferPointer: $0) } }
        return hash.finalize().map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
