"""The ground that the other tests stand on: the programs' options as they are read out of the sources."""

import unittest

from support import program, seconds


class TheProgramsOptions(unittest.TestCase):
    def test_are_found_however_they_are_written(self) -> None:
        coordinator, node = program("atelier-coordinator"), program("atelier-node")
        # One line, several lines, a name of its own, one that is flattened in from another file.
        for flag in ("listen", "s3-public-url", "exit-with-stdin", "submitter-weight", "fleet-driver"):
            self.assertIn(flag, coordinator.flags)
        for flag in ("coordinator", "label", "renderer", "cache-mib-max", "log-format", "device"):
            self.assertIn(flag, node.flags)
        self.assertNotIn("submitter-weights", coordinator.flags)
        self.assertEqual(coordinator.defaults["ATELIER_BOARD_LISTEN"], "127.0.0.1:7880")
        self.assertEqual(node.defaults["ATELIER_COORDINATOR"], "http://127.0.0.1:7878")

    def test_that_do_not_exist_are_told(self) -> None:
        node = program("atelier-node")
        self.assertEqual(node.unknown(["PATH", "ATELIER_CACHE"]), [])
        self.assertEqual(node.unknown(["ATELIER_CASH"]), ["atelier-node knows no ATELIER_CASH"])
        self.assertEqual(node.unknown_flags(["run", "--label=a=b", "--lable"]), ["atelier-node has no --lable"])

    def test_durations_are_read_as_systemd_and_the_programs_write_them(self) -> None:
        for text, expected in {"25s": 25, "45": 45, "1m30s": 90, "2min": 120, "1h": 3600}.items():
            self.assertEqual(seconds(text), expected)
        for wrong in ("soon", "5 parsecs", "s"):
            with self.assertRaises(ValueError):
                seconds(wrong)


if __name__ == "__main__":
    unittest.main()
