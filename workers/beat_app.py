"""Beat's Celery application: `python -m workers beat`.

It sends ticks and loads no task, so it takes some 14 MB less than with the workers' application.
"""

from config.settings import Settings
from workers.apps import begin, make_app

settings = Settings()
begin(settings)
app = make_app(settings, tasks=())
