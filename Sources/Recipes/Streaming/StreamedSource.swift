import Checkpoints
import Datasets
import Foundation
import TensorCore
import Tokenization

/// A source of training data on its way into the cache.
struct StreamedSource {
    let encoder: ExampleEncoder
    let weight: Double
    /// Digest of its contents and of everything that decides its tokens.
    let identity: FileDigest
    private let reader: DatasetReader
    private let onError: ErrorPolicy
    private let cache: DataCache
    private let contents: FileDigest
    /// How the files looked when `contents` was made of them.
    private let look: FileDigest

    /// Raised when the same record would be turned into other tokens or labels.
    private static let encodingVersion = 2

    init(
        _ source: Recipe.Source, _ recipe: Recipe, base: BaseModel, encoder: ExampleEncoder, cache: DataCache
    ) throws {
        reader = try DatasetReader(path: source.path, format: source.format, fields: source.fields)
        (self.encoder, self.cache) = (encoder, cache)
        (weight, onError) = (source.weight, recipe.data.onError)
        look = DataCache.look(of: reader.files)
        contents = try cache.digest(of: reader.files)
        let options = encoder.options
        let rules = [
            "\(Self.encodingVersion)", contents.hex, reader.format.rawValue,
            source.fields.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ","),
            options.trainOn.words.joined(separator: ","), "\(options.maxLength ?? 0)", options.truncation.rawValue,
            JSONValue.object(options.templateVariables).serialized(pretty: false), "\(options.now)",
            "\(encoder.vocabularySize ?? 0)", onError.rawValue, try base.tokenizerFingerprint(),
            encoder.template?.source ?? "",
        ]
        identity = FileDigest.sha256(of: Data(rules.map { "\($0.utf8.count) \($0)\n" }.joined().utf8))
    }

    /// Whether its records can be read from where they lie.
    var canBeIndexed: Bool { !reader.files.contains(where: DatasetReader.isPacked) }

    /// The name of its tokens in the cache. Those that another build of this program made are not used. The context
    /// decides no token, but what is counted with them.
    private var tokensDigest: FileDigest {
        FileDigest.sha256(of: Data("\(identity.hex) \(encoder.contextLength ?? 0) \(Self.program?.hex ?? "")".utf8))
    }

    private static let program = try? FileDigest.sha256(of: URL(fileURLWithPath: "/proc/self/exe"))

    /// Whether its tokens are in the cache.
    var isTokenized: Bool { FileManager.default.fileExists(atPath: cache.place(.tokens, tokensDigest).path) }

    /// Its tokens, from the cache or made now by all threads.
    func tokenized(on compute: Compute, note: (String) -> Void) throws -> TokenStore {
        try cache.entry(.tokens, tokensDigest, note: note) { place in
            try TokenStore(place, source: reader.path)
        } build: { folder in
            note("tokenising \(reader.path), once; the tokens stay in \(cache.folder.path)")
            var last = ContinuousClock.now
            try encoder.store(
                reader, in: folder, onError: onError, listLimit: EncodedData.listLimit,
                loop: { compute.threads.run(tiles: $0, $1) },
                progress: { records, bytes in
                    guard ContinuousClock.now - last > .seconds(10) else { return }
                    last = .now
                    // How large a packed file is shows at its end only.
                    let share = canBeIndexed ? ", \(min(100, bytes * 100 / max(1, reader.byteCount))) %" : ""
                    note("\(reader.path): \(records) records tokenised\(share)")
                })
            try checkUnchanged()
        }
    }

    /// Refuses to name after its contents what was made of a file that has changed since.
    private func checkUnchanged() throws {
        if DataCache.look(of: reader.files) != look { throw DatasetProblem(.changed, file: reader.path) }
    }

    /// Its records where they lie, with an index from the cache or made now.
    func indexed(
        note: (String) -> Void, skipped: @escaping @Sendable (DatasetProblem) -> Void
    ) throws -> IndexedRecords {
        let index = try cache.entry(.indexes, contents, note: note) { place in
            try RecordIndex(place)
        } build: { folder in
            note("looking for the records of \(reader.path)")
            try RecordIndex.build(reader, in: folder)
            try checkUnchanged()
        }
        return try IndexedRecords(reader, index: index, encoder: encoder, onError: onError, skipped: skipped)
    }
}
