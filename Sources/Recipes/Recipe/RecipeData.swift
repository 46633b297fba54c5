public import Datasets

extension Recipe {
    /// What the adapter is trained on, and how records become tokens.
    public struct Data: Sendable, Equatable {
        /// The sources to train on; at least one.
        public var train: [Source]
        /// The sources to validate on; empty = no evaluation. Their weights mean nothing.
        public var validation: [Source] = []
        /// Longest example, in tokens.
        public var maxLength = 1024
        /// What happens to an example that is longer.
        public var truncation = Truncation.error
        /// Whether short examples share a batch; attention never crosses from one to another.
        public var packing = true
        /// Which tokens count in the loss.
        public var trainOn = TrainOn.assistant
        /// Whether each epoch has its own order; `false` = the order of the files.
        public var shuffle = true
        /// Whether of examples that are the same to the token only the first is trained on.
        public var deduplicate = false
        /// Whether training data stay on disk.
        public var streaming = Streaming.automatic
        /// What happens to a record that cannot be used.
        public var onError = ErrorPolicy.stop

        /// The training sources, with defaults for the rest.
        public init(train: [Source]) { self.train = train }
    }

    /// Whether training data are held in memory or stay on disk. The order of the examples differs between the two.
    public enum Streaming: String, Sendable, CaseIterable {
        /// On disk if the files are larger than 256 MB together.
        case automatic = "auto"
        /// On disk.
        case always
        /// In memory.
        case never
    }

    /// A file, a folder of files or a pattern of paths.
    public struct Source: Sendable, Equatable {
        /// The file, folder or pattern.
        public var path: String
        /// What its records look like; `nil` = found out from the first record.
        public var format: DatasetFormat?
        /// For keys of the format the key that the records have instead.
        public var fields: [String: String] = [:]
        /// How often an epoch visits it.
        public var weight = 1.0

        /// The data at `path`.
        public init(path: String, format: DatasetFormat? = nil) {
            self.path = path
            self.format = format
        }
    }
}
