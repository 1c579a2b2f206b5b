"""Start AWS's Hugging Face toolkit on its multi-model server.

What `sagemaker_huggingface_inference_toolkit.serving` does, but that its settings are written in a folder of this run
and not in /etc: the same settings, the same command, as many workers as the server chooses.
"""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import sagemaker_inference
from sagemaker_inference.environment import Environment, code_dir, model_dir

SETTINGS = Path(sagemaker_inference.__file__).parent / "etc"


def main() -> int:
    """Serve SAGEMAKER_BASE_DIR/model on SAGEMAKER_BIND_TO_PORT until told to stop."""
    environment = Environment()
    # The server's own processes may outlive this one for a moment, and write.
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        configuration = Path(folder, "sagemaker-mms.properties")
        lines = {
            "default_response_timeout": environment.model_server_timeout,
            "inference_address": f"http://0.0.0.0:{environment.inference_http_port}",
            "management_address": f"http://0.0.0.0:{environment.management_http_port}",
            "vmargs": environment.vmargs,
            "default_service_handler": "sagemaker_huggingface_inference_toolkit.handler_service",
        }
        given = (SETTINGS / "default-mms.properties").read_text(encoding="utf-8")
        configuration.write_text(
            given + "".join(f"\n{name}={value}" for name, value in lines.items()) + "\n", encoding="utf-8"
        )
        command = [str(Path(sys.executable).with_name("multi-model-server")), "--start", "--foreground"]
        command += ["--model-store", "/", "--mms-config", str(configuration)]
        command += ["--log-config", str(SETTINGS / "log4j2.xml"), "--models", f"model={model_dir}"]
        places = {"TMPDIR": folder, "LOG_LOCATION": folder, "METRICS_LOCATION": folder, "PYTHONPATH": code_dir}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        server = subprocess.Popen(command, env={**os.environ, **places, "PATH": path})
        signal.signal(signal.SIGTERM, lambda _number, _frame: server.terminate())
        return server.wait()


if __name__ == "__main__":
    sys.exit(main())
