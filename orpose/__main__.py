from orpose.main import main

raise SystemExit(main())
