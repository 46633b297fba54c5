import Foundation

/// Reads `config.json` with errors that name the key.
enum ConfigurationFile {
    static func decode<T: Decodable>(_ type: T.Type, from data: Data, place: String) throws(ModelError) -> T {
        do {
            return try JSONDecoder().decode(type, from: data)
        } catch let error as DecodingError {
            throw .configuration(place: place, reason: sentence(for: error))
        } catch {
            throw .configuration(place: place, reason: "not valid JSON: \(error.localizedDescription)")
        }
    }

    /// `config.json` with the keys that it leaves out. A key that is null is there, and means none.
    /// - Parameter defaults: what transformers' configuration class of the architecture has for them, as far as they
    ///   matter; the sizes of a model have none, with exceptions.
    static func completed(_ data: Data, with defaults: [String: Any], place: String) throws(ModelError) -> Data {
        do {
            guard let stated = try JSONSerialization.jsonObject(with: data) as? [String: Any] else { return data }
            return try JSONSerialization.data(withJSONObject: stated.merging(defaults) { stated, _ in stated })
        } catch {
            throw .configuration(place: place, reason: "not valid JSON; is the file complete?")
        }
    }

    private static func sentence(for error: DecodingError) -> String {
        func path(_ context: DecodingError.Context, _ last: (any CodingKey)? = nil) -> String {
            (context.codingPath + (last.map { [$0] } ?? [])).map(\.stringValue).joined(separator: ".")
        }
        switch error {
        case .keyNotFound(let key, let context): return "the key \(path(context, key)) is missing"
        case .typeMismatch(let type, let context): return "the key \(path(context)) is no \(name(of: type))"
        case .valueNotFound(let type, let context): return "the key \(path(context)) is null, expected a \(name(of: type))"
        case .dataCorrupted(let context):
            return context.codingPath.isEmpty
                ? "not valid JSON, or a number in it does not fit (NaN, Infinity, a fraction of something whole); is the file complete?"
                : "the key \(path(context)) has a value that does not fit"
        @unknown default: return "cannot be read: \(error.localizedDescription)"
        }
    }

    private static func name(of type: any Any.Type) -> String {
        switch type {
        case is Int.Type: "whole number"
        case is Double.Type: "number"
        case is Bool.Type: "true or false"
        case is String.Type: "text"
        default: "object"
        }
    }
}
