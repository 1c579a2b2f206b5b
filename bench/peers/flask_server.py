"""Start nginx and gunicorn over `flask_app`, or what BENCH_APP names, as AWS's scikit bring-your-own sample does.

It ends when one of them ends.

https://github.com/aws/amazon-sagemaker-examples, advanced_functionality/scikit_bring_your_own: nginx with one process
in front of a socket, gunicorn with a worker for each core. Its workers are gevent's, and these gunicorn's own: a model
keeps a worker busy, and gevent's would take on requests that another, idle one could answer.
"""

import getpass
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from string import Template

HERE = Path(__file__).resolve().parent


def main() -> int:
    """Serve SAGEMAKER_BASE_DIR/model on SAGEMAKER_BIND_TO_PORT until told to stop."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        template = Template((HERE / "nginx.conf").read_text(encoding="utf-8"))
        settings = template.substitute(folder=folder, port=os.environ["SAGEMAKER_BIND_TO_PORT"], user=getpass.getuser())
        configuration = Path(folder, "nginx.conf")
        configuration.write_text(settings, encoding="utf-8")
        workers = os.environ.get("MODEL_SERVER_WORKERS") or str(len(os.sched_getaffinity(0)))
        application = os.environ.get("BENCH_APP", "flask_app:app")
        gunicorn = [sys.executable, "-m", "gunicorn", "--timeout", "60", "--bind", f"unix:{folder}/gunicorn.sock"]
        children = [
            subprocess.Popen(["nginx", "-e", "stderr", "-c", str(configuration)]),
            subprocess.Popen([*gunicorn, "--workers", workers, "--chdir", str(HERE), application]),
        ]
        signal.signal(signal.SIGTERM, lambda _number, _frame: _stop(children))
        os.wait()
        _stop(children)
        for child in children:
            child.wait()
    return 0


def _stop(children: list["subprocess.Popen[bytes]"]) -> None:
    for child in children:
        child.terminate()


if __name__ == "__main__":
    sys.exit(main())
