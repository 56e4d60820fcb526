// Filled next.
import COpenSSL
