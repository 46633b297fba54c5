/// The version of the libraries and the program; runs remember the one that they were started with.
public enum ProgramVersion {
    /// Major, minor and patch number.
    public static let current = "0.1.0"
}
