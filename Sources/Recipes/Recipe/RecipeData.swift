extension Recipe {
    /// What the adapter is trained on, and how records become tokens.
    public struct Data: Sendable, Equatable {
        /// What happens to an example that is longer than `maxLength`.
        public enum Truncation: String, Sendable, CaseIterable {
            /// Its end is cut off.
            case truncate
            /// It is left out.
            case drop
            /// The run stops before it starts.
            case error
        }

        /// Which tokens count in the loss.
        public enum Supervision: String, Sendable, CaseIterable {
            /// Every answer of the assistant.
            case assistant
            /// Every token.
            case all
            /// The last answer of the assistant.
            case last
        }

        /// What happens to a record that cannot be used.
        public enum ErrorPolicy: String, Sendable, CaseIterable {
            /// The run stops with the record's place.
            case stop
            /// The record is left out and counted.
            case skip
        }

        /// The training files; at least one.
        public var train: [Source]
        /// The validation files; empty = no evaluation.
        public var validation: [Source] = []
        /// Longest example, in tokens.
        public var maxLength = 1024
        /// What happens to an example that is longer.
        public var truncation = Truncation.error
        /// Whether short examples share a batch; attention never crosses from one to another.
        public var packing = true
        /// Which tokens count in the loss.
        public var trainOn = Supervision.assistant
        /// Whether each epoch has its own order; `false` = the order of the files.
        public var shuffle = true
        /// What happens to a record that cannot be used.
        public var onError = ErrorPolicy.stop

        /// The training files, with defaults for the rest.
        public init(train: [Source]) { self.train = train }
    }

    /// One data file.
    public struct Source: Sendable, Equatable {
        /// What a record of the file looks like.
        public enum Format: String, Sendable, CaseIterable {
            /// Conversations of messages with roles.
            case chat
            /// An instruction, perhaps an input, and an answer.
            case instruct
            /// A prompt and its completion.
            case completion
            /// Plain text.
            case text
            /// Token ids, perhaps with labels.
            case tokens
        }

        /// The file.
        public var path: String
        /// What its records look like; `nil` = found out from the first record.
        public var format: Format?

        /// The file at `path`.
        public init(path: String, format: Format? = nil) {
            self.path = path
            self.format = format
        }
    }
}
