// Filled next.
import CEvent
