extension Int {
    /// With a noun in the right number: `1 thread`, `2 threads`.
    package func counted(_ noun: String) -> String { "\(self) \(noun)\(self == 1 ? "" : "s")" }
}
