"""Python programs and loops in C that need no target."""

from programs import Program, last_object, processor_seconds


class Alone(Program):
    """A command that does its work and prints a JSON object."""

    def measure(self, command, seconds):
        text, _ = self.finish(self.launch(command), seconds)
        return last_object(text)


class Resident(Program):
    """A command that says that it is ready and stays."""

    def begin_with(self, command):
        return self.start(command, rb"ready([^\n]*)\n").group(1).decode().strip()

    def processor_seconds(self):
        return processor_seconds(self.target.pid)
