/// Finds out what the author of an unknown key meant.
struct UnknownKey {
    /// The whole path as it was found, such as `lora_parameters.rank` or `data.train.0.weight`.
    let path: String
    /// Its value, where that is a truth value.
    var isOn: Bool?

    private var name: String { path.split(separator: ".").last.map(String.init) ?? path }

    /// What to do instead: the key's right place, its name here, or the nearest key.
    func hint(siblings: [String]) -> String {
        if let recognised { return recognised }
        if let sibling = nearest(to: name, in: siblings) { return "did you mean \(sibling)?" }
        let elsewhere = Recipe.keyPaths.map { ($0, lastPart($0)) }
        if let word = nearest(to: name, in: elsewhere.map(\.1)) {
            let paths = elsewhere.filter { $0.1 == word }.map(\.0)
            return "did you mean \(paths.inWords("or"))?"
        }
        return "the keys here are \(siblings.inWords("and"))"
    }

    /// The hint for a name that is ours in another section or another tool's; `nil` for an unheard-of one.
    var recognised: String? {
        if let entry = explainedKeys[pattern] { return entry }
        if let ours = foreignKeys[pattern] { return translation(pattern, ours) }
        let homes = Recipe.keyPaths.filter { lastPart($0) == name && $0 != pattern }
        let near = homes.filter { $0.prefix { $0 != "." } == pattern.prefix { $0 != "." } }
        if !homes.isEmpty { return "it belongs at \((near.isEmpty ? homes : near).inWords("or"))" }
        if let entry = explainedKeys[name] { return entry }
        if let ours = foreignKeys[name] { return translation(name, ours) }
        return nil
    }

    /// The key that is called otherwise here, if it is one.
    var ours: String? { foreignKeys[pattern] ?? foreignKeys[name] }

    /// What our key is called, and what to write for a truth value where that is something else here.
    private func translation(_ theirs: String, _ ours: String) -> String {
        guard let isOn, let words = foreignSwitches[theirs] else { return "it is called \(ours) here (\(theirs) → \(ours))" }
        return "it is called \(ours) here (\(theirs): \(isOn) → \(ours): \(isOn ? words.true : words.false))"
    }

    /// The path with `[]` for places in a list.
    private var pattern: String { Recipe.pattern(of: path) }

    private func lastPart(_ path: String) -> String { path.split(separator: ".").last.map(String.init) ?? path }
}

/// The word that is a slip of the pen away from `text`, if there is one.
package func nearest(to text: String, in words: [String]) -> String? {
    guard text.utf8.count <= 64 else { return nil }
    let near = words.map { ($0, editDistance(text.lowercased(), $0.lowercased())) }.min { $0.1 < $1.1 }
    guard let (word, distance) = near, distance <= max(1, min(3, text.count / 3)) else { return nil }
    return word
}

/// Insertions, deletions, exchanges and swaps of neighbours between two words (optimal string alignment).
func editDistance(_ a: String, _ b: String) -> Int {
    let (a, b) = (Array(a.utf8), Array(b.utf8))
    var before: [Int] = []
    var previous = Array(0...b.count)
    for i in a.indices {
        var current = [i + 1]
        for j in b.indices {
            var best = min(previous[j + 1] + 1, current[j] + 1, previous[j] + (a[i] == b[j] ? 0 : 1))
            if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { best = min(best, before[j - 1] + 1) }
            current.append(best)
        }
        (before, previous) = (previous, current)
    }
    return previous[b.count]
}
